#!/usr/bin/env python3
"""How an internal team reads users, groups and roles from Rollcall over gRPC, and follows what changes.

The key stands in ROLLCALL_KEY; make one with `rollcall api-key create --name "Team" --scope identity.read`. The exit code is 0 when all was
read and refused as it should be.
"""

import argparse
import importlib
import os
import sys
import tempfile
from pathlib import Path

import grpc
import grpc_tools
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_tools import protoc

# A call without a deadline could wait for ever.
TIMEOUT_S = 10


def generate(protos, into):
    """Generates Python from the contracts in `protos`. A team does this once, when it builds."""
    files = sorted(str(path.relative_to(protos)) for path in protos.glob("rollcall/identity/v1/*.proto"))
    google = Path(grpc_tools.__file__).parent / "_proto"
    options = [f"--proto_path={protos}", f"--proto_path={google}", f"--python_out={into}", f"--grpc_python_out={into}"]
    if not files or protoc.main(["protoc", *options, *files]) != 0:
        sys.exit(f"no Python could be generated from {protos}")
    sys.path.insert(0, into)


def pages(method, request, items, metadata):
    """The pages of a list, one call each, until a page names no next one."""
    while True:
        page = method(request, metadata=metadata, timeout=TIMEOUT_S)
        yield list(getattr(page, items))
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def refusal(method, request, metadata=None):
    """The name of the code by which a call is refused."""
    try:
        method(request, metadata=metadata, timeout=TIMEOUT_S)
    except grpc.RpcError as error:
        return error.code().name
    return "OK"


def without_a_key(channel, server):
    """What a server says to everybody: how it is, and what it offers."""
    health = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
    state = health_pb2.HealthCheckResponse.ServingStatus.Name(health.status)
    database = ProtoReflectionDescriptorDatabase(channel)
    offered = sorted(name for name in database.get_services() if name.startswith("rollcall.identity."))
    print(f"{server} is {state} and offers, by reflection:")
    reflected = DescriptorPool(database)
    for name in offered:
        methods = reflected.FindServiceByName(name).methods
        print(f"  {name}: {', '.join(method.name for method in methods)}")
    return state == "SERVING" and "rollcall.identity.v1.UserService" in offered


def read(users, groups, roles, page_size, metadata):
    """Reads everything and prints it. The modules are those that were generated."""
    users_pb2, groups_pb2, roles_pb2 = (importlib.import_module(f"rollcall.identity.v1.{name}_pb2") for name in ("users", "groups", "roles"))

    of_users = list(pages(users.ListUsers, users_pb2.ListUsersRequest(page_size=page_size), "users", metadata))
    everybody = [user for page in of_users for user in page]
    print(f"\n{len(everybody)} users, in {len(of_users)} pages:")
    for user in everybody:
        # An output of an enum is a number; its name stands in the contract.
        source = users_pb2.RoleSource.Name(user.role_source).removeprefix("ROLE_SOURCE_").lower()
        print(f"  {user.user_name}: {user.display_name or '-'}, {user.role or 'no role'} ({source}), {'active' if user.active else 'not active'}")

    if everybody:
        request = users_pb2.GetUserRequest(user_id=everybody[0].id, view=users_pb2.USER_VIEW_FULL)
        one = users.GetUser(request, metadata=metadata, timeout=TIMEOUT_S)
        # What may be absent is asked for by HasField: an absent text would read as an empty one.
        title = one.profile.title if one.profile.HasField("title") else "no title"
        print(f"\n{one.user_name} in full: {title}, version {one.version}, member of {', '.join(group.display_name for group in one.groups) or 'nothing'}")

    names = {user.id: user.user_name for user in everybody}
    of_groups = [group for page in pages(groups.ListGroups, groups_pb2.ListGroupsRequest(page_size=page_size), "groups", metadata) for group in page]
    print(f"\n{len(of_groups)} groups:")
    for group in of_groups:
        request = groups_pb2.ListMembersRequest(group_id=group.id, page_size=page_size)
        members = [names.get(member.user_id, member.user_id) for page in pages(groups.ListMembers, request, "members", metadata) for member in page]
        print(f"  {group.display_name}: {', '.join(members) or 'nobody'}")

    catalogue = [role for page in pages(roles.ListRoles, roles_pb2.ListRolesRequest(), "roles", metadata) for role in page]
    print(f"\nroles, highest first: {', '.join(role.id for role in catalogue)}")


def follow(changes, metadata):
    """Follows the changes from the oldest that is kept until nothing is left to catch up with. A team goes on from there for ever."""
    changes_pb2 = importlib.import_module("rollcall.identity.v1.changes_pb2")
    stream = changes.WatchChanges(changes_pb2.WatchChangesRequest(), metadata=metadata, timeout=TIMEOUT_S)
    seen, position = [], ""
    for message in stream:
        seen += message.changes
        # Here a team does what is to be done, and saves the position with it.
        position = message.position
        if position == message.head:
            break
    stream.cancel()
    of_users = [change for change in seen if change.kind == "user.created"]
    without_access = [change.after["user_name"] for change in of_users if change.after.get("active") == "false"]
    print(f"\n{len(of_users)} users were created, of them without access: {', '.join(without_access) or 'nobody'}")
    request = changes_pb2.AcknowledgeChangesRequest(consumer="example", position=position)
    consumer = changes.AcknowledgeChanges(request, metadata=metadata, timeout=TIMEOUT_S)
    print(f"{consumer.name} is {consumer.lag_changes} changes behind")


def refusals(users, metadata):
    """What a key that may read cannot do, and what nobody can do without one."""
    users_pb2 = importlib.import_module("rollcall.identity.v1.users_pb2")
    write = users_pb2.CreateUserRequest(user=users_pb2.User(user_name="intruder@example.com"))
    denied = refusal(users.CreateUser, write, metadata)
    unknown = refusal(users.ListUsers, users_pb2.ListUsersRequest())
    print(f"\na write with this key: {denied}\na read without a key: {unknown}")
    return (denied, unknown) == ("PERMISSION_DENIED", "UNAUTHENTICATED")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--server", default="127.0.0.1:8081", metavar="HOST:PORT", help="where the gRPC APIs are served [default: %(default)s]")
    arguments.add_argument("--ca-file", type=Path, metavar="FILE", help="speak TLS, and believe these authorities (PEM)")
    arguments.add_argument("--proto", type=Path, default=Path(__file__).parents[3] / "proto", metavar="FOLDER", help="the contracts")
    arguments.add_argument("--page-size", type=int, default=100, metavar="COUNT")
    arguments = arguments.parse_args()
    key = os.environ.get("ROLLCALL_KEY") or sys.exit("put the key into ROLLCALL_KEY")
    metadata = [("authorization", f"Bearer {key}")]

    with tempfile.TemporaryDirectory() as generated:
        generate(arguments.proto, generated)
        services = ("users", "groups", "roles", "changes")
        users_grpc, groups_grpc, roles_grpc, changes_grpc = (importlib.import_module(f"rollcall.identity.v1.{name}_pb2_grpc") for name in services)
    if arguments.ca_file:
        channel = grpc.secure_channel(arguments.server, grpc.ssl_channel_credentials(arguments.ca_file.read_bytes()))
    else:
        channel = grpc.insecure_channel(arguments.server)
    with channel:
        users, groups, roles = users_grpc.UserServiceStub(channel), groups_grpc.GroupServiceStub(channel), roles_grpc.RoleServiceStub(channel)
        try:
            open_to_all = without_a_key(channel, arguments.server)
            read(users, groups, roles, arguments.page_size, metadata)
            follow(changes_grpc.ChangeServiceStub(channel), metadata)
            refused = refusals(users, metadata)
        except grpc.RpcError as error:
            sys.exit(f"{error.code().name}: {error.details()}")
    if not (open_to_all and refused):
        sys.exit("the server did not answer as it should")


if __name__ == "__main__":
    main()
