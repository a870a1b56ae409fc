"""Finished runs only: statistics, tables and a page."""
