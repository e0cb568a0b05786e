"""How the Gateway API's objects are read: hostnames, attachment, rules, filters, backends, statuses."""
