"""What users of each provider have in place, one file per API family; `table.py` lists them all."""
