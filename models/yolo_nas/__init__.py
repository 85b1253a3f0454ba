"""YOLO-NAS: a detector of lesion boxes, with the layout of the original's state_dict."""
