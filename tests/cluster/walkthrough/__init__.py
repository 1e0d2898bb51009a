"""The guide's section 5.13, walked through as it is written, by the API alone; a module for each section.

5.13.1 explains terms (Details are in test_group.py). 5.13.4's Security Proxy and 5.13.8's packages aren't part of the
product yet. The sections share three servers, see conftest.py; the steps that sections refer each other to are in
steps.py.
"""
