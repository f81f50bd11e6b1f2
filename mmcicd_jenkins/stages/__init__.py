"""One file per stage: gather facts, plan (pure), apply (through ports)."""
