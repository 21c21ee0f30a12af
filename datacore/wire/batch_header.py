"""The fixed 61-byte header of a record batch of magic 2 (KIP-98).

Everything that is stored is a sequence of such batches, so this layout is the one thing that
engines and codecs share. An engine may read it to find where a batch starts and ends and whether
it is whole; what lies behind it stays opaque (docs/decisions/0002).

====  ======================  ======================================================
byte  field                   type
====  ======================  ======================================================
0     base_offset             int64
8     batch_length            int32, bytes that follow this field
12    partition_leader_epoch  int32
16    magic                   int8, always 2 here
17    crc                     uint32, CRC32C of everything from byte 21 on
21    attributes              int16
23    last_offset_delta       int32
27    base_timestamp          int64, milliseconds
35    max_timestamp           int64, milliseconds
43    producer_id             int64, -1: none
51    producer_epoch          int16
53    base_sequence           int32
57    records_count           int32
====  ======================  ======================================================
"""

from struct import Struct
from typing import Final

BATCH_HEADER: Final = Struct(">qiiBIhiqqqhii")
"""All thirteen fields in the order of the table above."""

BATCH_HEADER_SIZE: Final = 61
BATCH_FRAME_SIZE: Final = 12
"""Base offset and length: what a batch's size does not count."""

BATCH_FRAME: Final = Struct(">qi")
MAGIC_AT: Final = 16
CRC_AT: Final = 17
CRC_FROM: Final = 21
ATTRIBUTES_AT: Final = 21
LAST_OFFSET_DELTA_AT: Final = 23
MAX_TIMESTAMP_AT: Final = 35
