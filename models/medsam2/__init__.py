"""MedSAM2's 2D path (SAM 2, arXiv:2408.00714, at 512; arXiv:2504.03600): a mask from a box."""
