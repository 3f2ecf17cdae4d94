"""gonogo beside the tools people use today, on a real control plane. See `../plane`."""
