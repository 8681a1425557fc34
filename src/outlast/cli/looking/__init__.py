"""What the commands that only look fetch and print: `show`, `logs`, `report --format`, `status --mlflow`."""
