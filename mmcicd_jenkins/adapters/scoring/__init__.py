"""A program of its own: `python .../scoring/scorer.py request.json` runs in the *model's* environment.

Its modules import the standard library, numpy, TensorFlow and each other, never `mmcicd_jenkins`, and nothing of
ours imports them: started as a script, this folder alone is on the path.
"""
