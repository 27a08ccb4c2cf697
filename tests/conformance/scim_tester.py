"""Runs every check of scim2-tester against the server at SCIM_URL, and prints the results as JSON.

Runs within the virtual environment that `run` makes.
"""

import json
import os

import httpx2
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import check_server

http = httpx2.Client(base_url=os.environ["SCIM_URL"], headers={"Authorization": f"Bearer {os.environ['SCIM_KEY']}"})
results = check_server(SyncSCIMClient(http))
fields = [{"status": r.status.name, "title": r.title, "resource_type": r.resource_type, "reason": r.reason} for r in results]
print(json.dumps(fields))
