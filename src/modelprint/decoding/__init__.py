"""Files -> pixels: what decoders may do, and what they leave behind."""
