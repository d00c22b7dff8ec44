"""What is measured on an SAE: pure functions and torchmetrics classes."""
