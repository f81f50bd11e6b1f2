"""Jenkinsfiles checked without a controller: a lexer, a tolerant parser, a reader of declarative structure, rules.

All pure: text in, findings out, never a traceback whatever the text. `check.lint_text` is the way in. The law: a
rule that is not sure says nothing, because one false finding costs more trust than ten true ones earn.
"""
