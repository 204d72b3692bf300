"""Speed and memory of training and of offline evaluation."""
