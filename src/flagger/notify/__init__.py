"""Who asks and who is told: webhooks, events, alerts."""
