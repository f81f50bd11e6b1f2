"""What a release is and how decisions about it are made. Pure: no clock, network, files or environment.

Records, verdicts, gates, history and the decisions to promote, roll back or ask a person.
Whoever needs a new fact adds a parameter and lets a stage collect it.
"""
