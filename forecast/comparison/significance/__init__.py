"""Whether the difference between models is more than chance: functions of arrays and frames, which know of no run."""
