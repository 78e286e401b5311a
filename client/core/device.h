/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file  client/core/device.h
 * @brief The objects that every device of ours shows: 3 Device, 4 Connectivity, 3303 Temperature.
 *
 * Layer: client/core.  Threads: one loop.  Memory: the caller's struct; texts are borrowed for
 * ever. Limits: none.  Security: none.
 */
#pragma once

#include "client/core/client.h"

struct cl_device {
    struct cl_client *client;
    const char *manufacturer, *model, *serial, *type, *hardware;
    const char *firmware; /**< version text; call cl_changed(client, 3, 0, 3) after a change */
    uint32_t memory_kb;
    struct cl_obj device, connectivity, sensor;
    char address[48];
    int32_t milli, min_milli, max_milli;
    bool measured;
};

/** Adds the three objects. The texts are set already; NULL ones are absent resources. */
CL_CHECK cl_err_t cl_device_init(struct cl_device *dev, struct cl_client *client);
/** Measure, and tell of a change. Call it about once a second. */
void cl_device_measure(struct cl_device *dev);
