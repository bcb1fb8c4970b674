"""What a detector says of a DICOM series, as DICOM objects of the same study: a mask, a map, a report.

highdicom makes them. They have the frame of reference of the series, and names that follow from what went into them:
the same series under the same detector gives objects of the same UIDs, so that a second scoring doubles nothing.
"""
