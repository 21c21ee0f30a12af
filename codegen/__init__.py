"""From Apache Kafka's message specs to datacore/_generated.

Two programs: `python -m codegen.import_specs` writes specs/ from Kafka's published jars, and
`python -m codegen.generate` writes datacore/_generated from specs/. Neither runs in a broker.
"""
