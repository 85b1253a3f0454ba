"""How good a network is, task by task, on parts that it did not learn from."""
