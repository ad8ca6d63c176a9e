# Fuzz targets: one per parser.
