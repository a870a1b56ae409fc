"""A clustering as a page: what a person is told of clusters, windows and days."""
