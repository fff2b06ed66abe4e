"""The command `python -m fastmri_clgnet.check`: what is wrong in a data set, file by file.

It begins with the checks that training makes (`data.file_checks`), and then reads everything.
"""
