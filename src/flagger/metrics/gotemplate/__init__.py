"""The template language of queries: Go's text/template, its grammar and its built-in functions, in Python.

Left out on purpose, with a clear error each: complex numbers, Go-syntax printing (`%#v`), argument indexes in
`printf`, and functions as values. A format that does not fit its argument is an error, not `%!d(string=x)`.
"""
