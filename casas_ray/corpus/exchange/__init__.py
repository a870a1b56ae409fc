"""Alignment JSON of other pipelines, in and out."""
