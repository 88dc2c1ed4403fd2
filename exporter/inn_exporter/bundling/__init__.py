"""From a calibrated network to the bundle, and to ONNX."""
