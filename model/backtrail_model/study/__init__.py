"""The study: what is a trace worth to a model? Measured by running every answer.

Items of public data sets, models, representations of a trace and ways of test-time scaling are crossed;
each answer is executed on the visible tests, and in the end judged by hidden ones. It talks to models over
HTTP only, and runs programs through the tracer only.
"""
