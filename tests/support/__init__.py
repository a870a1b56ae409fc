"""What several test files stand on: recipes, files, servers, comparisons."""
