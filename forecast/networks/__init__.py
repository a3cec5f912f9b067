"""Networks: one architecture a file, one shared signature.

``Network(sizes, *, ...)`` builds one; ``network(inputs, teacher=None, feedback=None)`` gives raw outputs
(B, H, C, K).
"""
