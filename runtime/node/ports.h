/* ports.h - who gets what invocations ask for and leave behind: the engine's ports, by kind. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

struct invoke;
struct live_delivery;
struct sockets;

/* The parts behind the ports. What belongs to a partition is found there (invoke_partition_place). */
struct ports {
    struct invoke *engine;
    struct live_delivery *live;
    struct sockets *sockets;
};

/* `ports` is the caller's and stays. */
void ports_connect(struct ports *ports, struct invoke *engine);
