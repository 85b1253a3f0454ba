"""What a network learns, task by task: batches, losses and the score on *select*."""
