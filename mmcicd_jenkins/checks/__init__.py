"""What `doctor` makes of facts: each function turns what was seen into findings. Pure, and free of other rooms' words.

The law: no finding without a remedy that can be pasted or sent, and no `ok` for what was not looked at.
"""
