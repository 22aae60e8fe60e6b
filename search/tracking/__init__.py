"""A search followed by TensorBoard, MLflow or Weights & Biases, beside the study, which has everything."""
