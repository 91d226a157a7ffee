"""Any image file to a tile: decoded, turned upright, the garment cut out."""
