/* SPDX-License-Identifier: Apache-2.0 */
#include "client/core/device.h"

#include "client/hal.h"

enum {
    DEV_MANUFACTURER,
    DEV_MODEL,
    DEV_SERIAL,
    DEV_FIRMWARE,
    DEV_REBOOT,
    DEV_ERROR = 11,
    DEV_TIME = 13,
    DEV_BINDING = 16,
    DEV_TYPE,
    DEV_HARDWARE,
    DEV_MEMORY = 21,
};
enum { CON_BEARER, CON_BEARERS, CON_SIGNAL, CON_ADDRESS = 4 };
enum { SEN_MIN = 5601, SEN_MAX, SEN_RESET = 5605, SEN_VALUE = 5700, SEN_UNIT = 5701 };

#define BEARER_ETHERNET 41

static const struct cl_res device_res[] = {
    {DEV_MANUFACTURER, CL_STRING, CL_READ | CL_OPTIONAL, NULL},
    {DEV_MODEL, CL_STRING, CL_READ | CL_OPTIONAL, NULL},
    {DEV_SERIAL, CL_STRING, CL_READ | CL_OPTIONAL, NULL},
    {DEV_FIRMWARE, CL_STRING, CL_READ | CL_OPTIONAL, NULL},
    {DEV_REBOOT, CL_NONE, CL_EXEC, NULL},
    {DEV_ERROR, CL_INT, CL_READ | CL_MULTI, NULL},
    {DEV_TIME, CL_TIME, CL_READ | CL_WRITE | CL_OPTIONAL, NULL},
    {DEV_BINDING, CL_STRING, CL_READ, NULL},
    {DEV_TYPE, CL_STRING, CL_READ | CL_OPTIONAL, NULL},
    {DEV_HARDWARE, CL_STRING, CL_READ | CL_OPTIONAL, NULL},
    {DEV_MEMORY, CL_INT, CL_READ | CL_OPTIONAL, NULL},
};
static const struct cl_res connectivity_res[] = {
    {CON_BEARER, CL_INT, CL_READ, NULL},
    {CON_BEARERS, CL_INT, CL_READ | CL_MULTI, NULL},
    {CON_SIGNAL, CL_INT, CL_READ, NULL},
    {CON_ADDRESS, CL_STRING, CL_READ | CL_MULTI, NULL},
};
static const struct cl_res sensor_res[] = {
    {SEN_MIN, CL_FLOAT, CL_READ, NULL},   {SEN_MAX, CL_FLOAT, CL_READ, NULL},
    {SEN_RESET, CL_NONE, CL_EXEC, NULL},  {SEN_VALUE, CL_FLOAT, CL_READ, NULL},
    {SEN_UNIT, CL_STRING, CL_READ, NULL},
};

static cl_err_t text_or_none(struct cl_value *v, const char *text)
{
    if (text == NULL) {
        return CL_ERR_NOENT;
    }
    cl_value_text(v, text);
    return CL_OK;
}

static cl_err_t device_read(const struct cl_obj *obj, uint16_t inst, uint16_t res, uint16_t ri,
                            struct cl_value *ret)
{
    const struct cl_device *dev = obj->ctx;

    (void)inst;
    switch (res) {
    case DEV_MANUFACTURER:
        return text_or_none(ret, dev->manufacturer);
    case DEV_MODEL:
        return text_or_none(ret, dev->model);
    case DEV_SERIAL:
        return text_or_none(ret, dev->serial);
    case DEV_FIRMWARE:
        return text_or_none(ret, dev->firmware);
    case DEV_ERROR: /* one instance: no error */
        ret->i = 0;
        return ri == 0 ? CL_OK : CL_ERR_NOENT;
    case DEV_TIME:
        ret->i = hal_wall_time();
        return ret->i != 0 ? CL_OK : CL_ERR_NOENT;
    case DEV_BINDING:
        return text_or_none(ret, "U");
    case DEV_TYPE:
        return text_or_none(ret, dev->type);
    case DEV_HARDWARE:
        return text_or_none(ret, dev->hardware);
    case DEV_MEMORY:
        ret->i = dev->memory_kb;
        return dev->memory_kb != 0 ? CL_OK : CL_ERR_NOENT;
    default:
        return CL_ERR_NOENT;
    }
}

static cl_err_t device_write(const struct cl_obj *obj, uint16_t inst, uint16_t res, uint16_t ri,
                             const struct cl_value *v)
{
    (void)obj;
    (void)inst;
    (void)ri;
    if (res != DEV_TIME) {
        return CL_ERR_DENIED;
    }
    if (v->i <= 0) {
        return CL_ERR_INVAL;
    }
    hal_wall_time_set(v->i);
    return CL_OK;
}

static cl_err_t device_exec(const struct cl_obj *obj, uint16_t inst, uint16_t res,
                            const uint8_t *args, size_t len)
{
    const struct cl_device *dev = obj->ctx;

    (void)inst;
    (void)res;
    (void)args;
    (void)len;
    cl_reboot(dev->client);
    return CL_OK;
}

static cl_err_t connectivity_read(const struct cl_obj *obj, uint16_t inst, uint16_t res,
                                  uint16_t ri, struct cl_value *ret)
{
    struct cl_device *dev = obj->ctx;

    (void)inst;
    if (ri != 0) {
        return CL_ERR_NOENT;
    }
    if (res == CON_ADDRESS) {
        hal_net_address(dev->address, sizeof dev->address);
        return text_or_none(ret, dev->address);
    }
    ret->i = res == CON_SIGNAL ? 0 : BEARER_ETHERNET;
    return CL_OK;
}

static cl_err_t sensor_read(const struct cl_obj *obj, uint16_t inst, uint16_t res, uint16_t ri,
                            struct cl_value *ret)
{
    struct cl_device *dev = obj->ctx;

    (void)inst;
    (void)ri;
    if (!dev->measured) {
        cl_device_measure(dev);
    }
    switch (res) {
    case SEN_MIN:
        ret->f = dev->min_milli / 1000.0;
        return CL_OK;
    case SEN_MAX:
        ret->f = dev->max_milli / 1000.0;
        return CL_OK;
    case SEN_VALUE:
        ret->f = dev->milli / 1000.0;
        return CL_OK;
    default:
        return text_or_none(ret, "Cel");
    }
}

static cl_err_t sensor_exec(const struct cl_obj *obj, uint16_t inst, uint16_t res,
                            const uint8_t *args, size_t len)
{
    struct cl_device *dev = obj->ctx;

    (void)inst;
    (void)res;
    (void)args;
    (void)len;
    dev->min_milli = dev->max_milli = dev->milli;
    cl_changed(dev->client, obj->id, 0, SEN_MIN);
    cl_changed(dev->client, obj->id, 0, SEN_MAX);
    return CL_OK;
}

void cl_device_measure(struct cl_device *dev)
{
    int32_t milli = hal_temperature_milli();
    uint16_t id = dev->sensor.id;

    if (!dev->measured) {
        dev->measured = true;
        dev->min_milli = dev->max_milli = dev->milli = milli;
        return;
    }
    if (milli != dev->milli) {
        dev->milli = milli;
        cl_changed(dev->client, id, 0, SEN_VALUE);
    }
    if (milli < dev->min_milli) {
        dev->min_milli = milli;
        cl_changed(dev->client, id, 0, SEN_MIN);
    }
    if (milli > dev->max_milli) {
        dev->max_milli = milli;
        cl_changed(dev->client, id, 0, SEN_MAX);
    }
}

cl_err_t cl_device_init(struct cl_device *dev, struct cl_client *client)
{
    dev->client = client;
    dev->device = (struct cl_obj){.id = 3,
                                  .version = "1.1",
                                  .res = device_res,
                                  .res_count = sizeof device_res / sizeof device_res[0],
                                  .ctx = dev,
                                  .read = device_read,
                                  .write = device_write,
                                  .exec = device_exec};
    dev->connectivity =
        (struct cl_obj){.id = 4,
                        .res = connectivity_res,
                        .res_count = sizeof connectivity_res / sizeof connectivity_res[0],
                        .ctx = dev,
                        .read = connectivity_read};
    dev->sensor = (struct cl_obj){.id = 3303,
                                  .res = sensor_res,
                                  .res_count = sizeof sensor_res / sizeof sensor_res[0],
                                  .ctx = dev,
                                  .read = sensor_read,
                                  .exec = sensor_exec};
    cl_err_t err = cl_object_add(&client->objects, &dev->device);
    if (err == CL_OK) {
        err = cl_object_add(&client->objects, &dev->connectivity);
    }
    return err == CL_OK ? cl_object_add(&client->objects, &dev->sensor) : err;
}
