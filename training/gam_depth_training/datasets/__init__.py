"""Public data sets in the layout in which their makers give them out.

Each module reads the user's own split list into clips and knows its data set's camera, crop, depth
unit and evaluation rules. Nothing is downloaded: the files are the user's, under their own terms.
"""

from __future__ import annotations
