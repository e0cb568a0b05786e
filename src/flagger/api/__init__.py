"""What users write: the custom resources as typed models. Imports nothing of ours."""
