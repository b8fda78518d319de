"""The differentiable operations, by family. Each is transparent: arrays in, arrays out; Variables in, Variables out."""
