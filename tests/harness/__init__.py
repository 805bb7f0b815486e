"""What the end-to-end, crash and serializability tests share: a node to start and kill, clients, apps to build."""
# SPDX-License-Identifier: Apache-2.0
