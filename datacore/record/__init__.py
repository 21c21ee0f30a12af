"""Record batches of magic 0, 1 and 2: headers, records, compression, conversion."""
