"""The differentiable operations, by family. Each is transparent: arrays in, arrays out; a Variable in, a Variable out."""
