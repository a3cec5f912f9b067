"""What a recurrent network remembers: gradients by steps back, gates, and the steps that still move its forecast."""
