/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sensors and actuators that most devices are made of.
 * Rows: id, type, operations, multiple, mandatory, name, range, units.
 */
#include "lwm2m/model_priv.h"

#define R_ LWM2M_OP_R
#define W_ LWM2M_OP_W
#define E_ LWM2M_OP_E

static const struct lwm2m_res_def res_3200_1_0[] = {
    {5500, LWM2M_TYPE_BOOL, R_, false, true, "Digital Input State", NULL, NULL},
    {5501, LWM2M_TYPE_INT, R_, false, false, "Digital Input Counter", NULL, NULL},
    {5502, LWM2M_TYPE_BOOL, R_ | W_, false, false, "Digital Input Polarity", NULL, NULL},
    {5503, LWM2M_TYPE_INT, R_ | W_, false, false, "Digital Input Debounce", NULL, "ms"},
    {5504, LWM2M_TYPE_INT, R_ | W_, false, false, "Digital Input Edge Selection", "1..3", NULL},
    {5505, LWM2M_TYPE_NONE, E_, false, false, "Digital Input Counter Reset", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5751, LWM2M_TYPE_STRING, R_, false, false, "Sensor Type", NULL, NULL},
};

static const struct lwm2m_res_def res_3200_1_1[] = {
    {5500, LWM2M_TYPE_BOOL, R_, false, true, "Digital Input State", NULL, NULL},
    {5501, LWM2M_TYPE_INT, R_, false, false, "Digital Input Counter", NULL, NULL},
    {5502, LWM2M_TYPE_BOOL, R_ | W_, false, false, "Digital Input Polarity", NULL, NULL},
    {5503, LWM2M_TYPE_INT, R_ | W_, false, false, "Digital Input Debounce", NULL, "ms"},
    {5504, LWM2M_TYPE_INT, R_ | W_, false, false, "Digital Input Edge Selection", "1..3", NULL},
    {5505, LWM2M_TYPE_NONE, E_, false, false, "Digital Input Counter Reset", NULL, NULL},
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5751, LWM2M_TYPE_STRING, R_, false, false, "Sensor Type", NULL, NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3201_1_0[] = {
    {5550, LWM2M_TYPE_BOOL, R_ | W_, false, true, "Digital Output State", NULL, NULL},
    {5551, LWM2M_TYPE_BOOL, R_ | W_, false, false, "Digital Output Polarity", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
};

static const struct lwm2m_res_def res_3201_1_1[] = {
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5550, LWM2M_TYPE_BOOL, R_ | W_, false, true, "Digital Output State", NULL, NULL},
    {5551, LWM2M_TYPE_BOOL, R_ | W_, false, false, "Digital Output Polarity", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3202_1_0[] = {
    {5600, LWM2M_TYPE_FLOAT, R_, false, true, "Analog Input Current Value", NULL, NULL},
    {5601, LWM2M_TYPE_FLOAT, R_, false, false, "Min Measured Value", NULL, NULL},
    {5602, LWM2M_TYPE_FLOAT, R_, false, false, "Max Measured Value", NULL, NULL},
    {5603, LWM2M_TYPE_FLOAT, R_, false, false, "Min Range Value", NULL, NULL},
    {5604, LWM2M_TYPE_FLOAT, R_, false, false, "Max Range Value", NULL, NULL},
    {5605, LWM2M_TYPE_NONE, E_, false, false, "Reset Min and Max Measured Values", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5751, LWM2M_TYPE_STRING, R_, false, false, "Sensor Type", NULL, NULL},
};

static const struct lwm2m_res_def res_3202_1_1[] = {
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5600, LWM2M_TYPE_FLOAT, R_, false, true, "Analog Input Current Value", NULL, NULL},
    {5601, LWM2M_TYPE_FLOAT, R_, false, false, "Min Measured Value", NULL, NULL},
    {5602, LWM2M_TYPE_FLOAT, R_, false, false, "Max Measured Value", NULL, NULL},
    {5603, LWM2M_TYPE_FLOAT, R_, false, false, "Min Range Value", NULL, NULL},
    {5604, LWM2M_TYPE_FLOAT, R_, false, false, "Max Range Value", NULL, NULL},
    {5605, LWM2M_TYPE_NONE, E_, false, false, "Reset Min and Max Measured Values", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5751, LWM2M_TYPE_STRING, R_, false, false, "Sensor Type", NULL, NULL},
    {6042, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Indicator", "0..23", NULL},
    {6049, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Level", "0..100", NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3203_1_0[] = {
    {5603, LWM2M_TYPE_FLOAT, R_, false, false, "Min Range Value", NULL, NULL},
    {5604, LWM2M_TYPE_FLOAT, R_, false, false, "Max Range Value", NULL, NULL},
    {5650, LWM2M_TYPE_FLOAT, R_ | W_, false, true, "Analog Output Current Value", "0..1", NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
};

static const struct lwm2m_res_def res_3203_1_1[] = {
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5603, LWM2M_TYPE_FLOAT, R_, false, false, "Min Range Value", NULL, NULL},
    {5604, LWM2M_TYPE_FLOAT, R_, false, false, "Max Range Value", NULL, NULL},
    {5650, LWM2M_TYPE_FLOAT, R_ | W_, false, true, "Analog Output Current Value", "0..1", NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3300_1_0[] = {
    {5601, LWM2M_TYPE_FLOAT, R_, false, false, "Min Measured Value", NULL, NULL},
    {5602, LWM2M_TYPE_FLOAT, R_, false, false, "Max Measured Value", NULL, NULL},
    {5603, LWM2M_TYPE_FLOAT, R_, false, false, "Min Range Value", NULL, NULL},
    {5604, LWM2M_TYPE_FLOAT, R_, false, false, "Max Range Value", NULL, NULL},
    {5605, LWM2M_TYPE_NONE, E_, false, false, "Reset Min and Max Measured Values", NULL, NULL},
    {5700, LWM2M_TYPE_FLOAT, R_, false, true, "Sensor Value", NULL, NULL},
    {5701, LWM2M_TYPE_STRING, R_, false, false, "Sensor Units", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5751, LWM2M_TYPE_STRING, R_, false, false, "Sensor Type", NULL, NULL},
};

static const struct lwm2m_res_def res_3300_1_1[] = {
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5601, LWM2M_TYPE_FLOAT, R_, false, false, "Min Measured Value", NULL, NULL},
    {5602, LWM2M_TYPE_FLOAT, R_, false, false, "Max Measured Value", NULL, NULL},
    {5603, LWM2M_TYPE_FLOAT, R_, false, false, "Min Range Value", NULL, NULL},
    {5604, LWM2M_TYPE_FLOAT, R_, false, false, "Max Range Value", NULL, NULL},
    {5605, LWM2M_TYPE_NONE, E_, false, false, "Reset Min and Max Measured Values", NULL, NULL},
    {5700, LWM2M_TYPE_FLOAT, R_, false, true, "Sensor Value", NULL, NULL},
    {5701, LWM2M_TYPE_STRING, R_, false, false, "Sensor Units", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5751, LWM2M_TYPE_STRING, R_, false, false, "Sensor Type", NULL, NULL},
    {6042, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Indicator", "0..23", NULL},
    {6049, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Level", "0..100", NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3301_1_0[] = {
    {5601, LWM2M_TYPE_FLOAT, R_, false, false, "Min Measured Value", NULL, NULL},
    {5602, LWM2M_TYPE_FLOAT, R_, false, false, "Max Measured Value", NULL, NULL},
    {5603, LWM2M_TYPE_FLOAT, R_, false, false, "Min Range Value", NULL, NULL},
    {5604, LWM2M_TYPE_FLOAT, R_, false, false, "Max Range Value", NULL, NULL},
    {5605, LWM2M_TYPE_NONE, E_, false, false, "Reset Min and Max Measured Values", NULL, NULL},
    {5700, LWM2M_TYPE_FLOAT, R_, false, true, "Sensor Value", NULL, NULL},
    {5701, LWM2M_TYPE_STRING, R_, false, false, "Sensor Units", NULL, NULL},
};

static const struct lwm2m_res_def res_3301_1_1[] = {
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5601, LWM2M_TYPE_FLOAT, R_, false, false, "Min Measured Value", NULL, NULL},
    {5602, LWM2M_TYPE_FLOAT, R_, false, false, "Max Measured Value", NULL, NULL},
    {5603, LWM2M_TYPE_FLOAT, R_, false, false, "Min Range Value", NULL, NULL},
    {5604, LWM2M_TYPE_FLOAT, R_, false, false, "Max Range Value", NULL, NULL},
    {5605, LWM2M_TYPE_NONE, E_, false, false, "Reset Min and Max Measured Values", NULL, NULL},
    {5700, LWM2M_TYPE_FLOAT, R_, false, true, "Sensor Value", NULL, NULL},
    {5701, LWM2M_TYPE_STRING, R_, false, false, "Sensor Units", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {6042, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Indicator", "0..23", NULL},
    {6049, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Level", "0..100", NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3302_1_0[] = {
    {5500, LWM2M_TYPE_BOOL, R_, false, true, "Digital Input State", NULL, NULL},
    {5501, LWM2M_TYPE_INT, R_, false, false, "Digital Input Counter", NULL, NULL},
    {5505, LWM2M_TYPE_NONE, E_, false, false, "Digital Input Counter Reset", NULL, NULL},
    {5751, LWM2M_TYPE_STRING, R_, false, false, "Sensor Type", NULL, NULL},
    {5903, LWM2M_TYPE_INT, R_ | W_, false, false, "Busy to Clear delay", NULL, "ms"},
    {5904, LWM2M_TYPE_INT, R_ | W_, false, false, "Clear to Busy delay", NULL, "ms"},
};

static const struct lwm2m_res_def res_3302_1_1[] = {
    {5500, LWM2M_TYPE_BOOL, R_, false, true, "Digital Input State", NULL, NULL},
    {5501, LWM2M_TYPE_INT, R_, false, false, "Digital Input Counter", NULL, NULL},
    {5505, LWM2M_TYPE_NONE, E_, false, false, "Digital Input Counter Reset", NULL, NULL},
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5751, LWM2M_TYPE_STRING, R_, false, false, "Sensor Type", NULL, NULL},
    {5903, LWM2M_TYPE_INT, R_ | W_, false, false, "Busy to Clear delay", NULL, "ms"},
    {5904, LWM2M_TYPE_INT, R_ | W_, false, false, "Clear to Busy delay", NULL, "ms"},
    {6042, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Indicator", "0..23", NULL},
    {6049, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Level", "0..100", NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3305_1_0[] = {
    {5605, LWM2M_TYPE_NONE, E_, false, false, "Reset Min and Max Measured Values", NULL, NULL},
    {5800, LWM2M_TYPE_FLOAT, R_, false, true, "Instantaneous active power", NULL, "W"},
    {5801, LWM2M_TYPE_FLOAT, R_, false, false, "Min Measured active power", NULL, "W"},
    {5802, LWM2M_TYPE_FLOAT, R_, false, false, "Max Measured active power", NULL, "W"},
    {5803, LWM2M_TYPE_FLOAT, R_, false, false, "Min Range active power", NULL, "W"},
    {5804, LWM2M_TYPE_FLOAT, R_, false, false, "Max Range active power", NULL, "W"},
    {5805, LWM2M_TYPE_FLOAT, R_, false, false, "Cumulative active power", NULL, "Wh"},
    {5806, LWM2M_TYPE_FLOAT, W_, false, false, "Active Power Calibration", NULL, "W"},
    {5810, LWM2M_TYPE_FLOAT, R_, false, false, "Instantaneous reactive power", NULL, "var"},
    {5811, LWM2M_TYPE_FLOAT, R_, false, false, "Min Measured reactive power", NULL, "var"},
    {5812, LWM2M_TYPE_FLOAT, R_, false, false, "Max Measured reactive power", NULL, "var"},
    {5813, LWM2M_TYPE_FLOAT, R_, false, false, "Min Range reactive power", NULL, "var"},
    {5814, LWM2M_TYPE_FLOAT, R_, false, false, "Max Range reactive power", NULL, "var"},
    {5815, LWM2M_TYPE_FLOAT, R_, false, false, "Cumulative reactive power", NULL, "varh"},
    {5816, LWM2M_TYPE_FLOAT, W_, false, false, "Reactive Power Calibration", NULL, "var"},
    {5820, LWM2M_TYPE_FLOAT, R_, false, false, "Power factor", NULL, NULL},
    {5821, LWM2M_TYPE_FLOAT, R_ | W_, false, false, "Current Calibration", NULL, NULL},
    {5822, LWM2M_TYPE_NONE, E_, false, false, "Reset Cumulative energy", NULL, NULL},
};

static const struct lwm2m_res_def res_3305_1_1[] = {
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5605, LWM2M_TYPE_NONE, E_, false, false, "Reset Min and Max Measured Values", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5800, LWM2M_TYPE_FLOAT, R_, false, true, "Instantaneous active power", NULL, "W"},
    {5801, LWM2M_TYPE_FLOAT, R_, false, false, "Min Measured active power", NULL, "W"},
    {5802, LWM2M_TYPE_FLOAT, R_, false, false, "Max Measured active power", NULL, "W"},
    {5803, LWM2M_TYPE_FLOAT, R_, false, false, "Min Range active power", NULL, "W"},
    {5804, LWM2M_TYPE_FLOAT, R_, false, false, "Max Range active power", NULL, "W"},
    {5805, LWM2M_TYPE_FLOAT, R_, false, false, "Cumulative active power", NULL, "Wh"},
    {5806, LWM2M_TYPE_FLOAT, W_, false, false, "Active Power Calibration", NULL, "W"},
    {5810, LWM2M_TYPE_FLOAT, R_, false, false, "Instantaneous reactive power", NULL, "var"},
    {5811, LWM2M_TYPE_FLOAT, R_, false, false, "Min Measured reactive power", NULL, "var"},
    {5812, LWM2M_TYPE_FLOAT, R_, false, false, "Max Measured reactive power", NULL, "var"},
    {5813, LWM2M_TYPE_FLOAT, R_, false, false, "Min Range reactive power", NULL, "var"},
    {5814, LWM2M_TYPE_FLOAT, R_, false, false, "Max Range reactive power", NULL, "var"},
    {5815, LWM2M_TYPE_FLOAT, R_, false, false, "Cumulative reactive power", NULL, "varh"},
    {5816, LWM2M_TYPE_FLOAT, W_, false, false, "Reactive Power Calibration", NULL, "var"},
    {5820, LWM2M_TYPE_FLOAT, R_, false, false, "Power factor", NULL, NULL},
    {5821, LWM2M_TYPE_FLOAT, R_ | W_, false, false, "Current Calibration", NULL, NULL},
    {5822, LWM2M_TYPE_NONE, E_, false, false, "Reset Cumulative energy", NULL, NULL},
    {6042, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Indicator", "0..23", NULL},
    {6049, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Level", "0..100", NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3306_1_0[] = {
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5850, LWM2M_TYPE_BOOL, R_ | W_, false, true, "On/Off", NULL, NULL},
    {5851, LWM2M_TYPE_INT, R_ | W_, false, false, "Dimmer", "0..100", "/100"},
    {5852, LWM2M_TYPE_INT, R_ | W_, false, false, "On time", NULL, "s"},
    {5853, LWM2M_TYPE_STRING, R_ | W_, false, false, "Multi-state Output", NULL, NULL},
};

static const struct lwm2m_res_def res_3306_1_1[] = {
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5850, LWM2M_TYPE_BOOL, R_ | W_, false, true, "On/Off", NULL, NULL},
    {5851, LWM2M_TYPE_INT, R_ | W_, false, false, "Dimmer", "0..100", "/100"},
    {5852, LWM2M_TYPE_INT, R_ | W_, false, false, "On time", NULL, "s"},
    {5853, LWM2M_TYPE_STRING, R_ | W_, false, false, "Multi-state Output", NULL, NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3308_1_0[] = {
    {5701, LWM2M_TYPE_STRING, R_, false, false, "Sensor Units", NULL, NULL},
    {5706, LWM2M_TYPE_STRING, R_ | W_, false, false, "Colour", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5900, LWM2M_TYPE_FLOAT, R_ | W_, false, true, "Set Point Value", NULL, NULL},
};

static const struct lwm2m_res_def res_3308_1_1[] = {
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5701, LWM2M_TYPE_STRING, R_, false, false, "Sensor Units", NULL, NULL},
    {5706, LWM2M_TYPE_STRING, R_ | W_, false, false, "Colour", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5900, LWM2M_TYPE_FLOAT, R_ | W_, false, true, "Set Point Value", NULL, NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3310_1_0[] = {
    {5823, LWM2M_TYPE_STRING, R_ | W_, false, true, "Event Identifier", NULL, NULL},
    {5824, LWM2M_TYPE_TIME, R_ | W_, false, true, "Start Time", NULL, NULL},
    {5825, LWM2M_TYPE_INT, R_ | W_, false, true, "Duration In Min", NULL, "min"},
    {5826, LWM2M_TYPE_INT, R_ | W_, false, false, "Criticality Level", "0..3", NULL},
    {5827, LWM2M_TYPE_INT, R_ | W_, false, false, "Avg Load AdjPct", "0..100", "/100"},
    {5828, LWM2M_TYPE_INT, R_ | W_, false, false, "Duty Cycle", "0..100", "/100"},
};

static const struct lwm2m_res_def res_3310_1_1[] = {
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5823, LWM2M_TYPE_STRING, R_ | W_, false, true, "Event Identifier", NULL, NULL},
    {5824, LWM2M_TYPE_TIME, R_ | W_, false, true, "Start Time", NULL, NULL},
    {5825, LWM2M_TYPE_INT, R_ | W_, false, true, "Duration In Min", NULL, "min"},
    {5826, LWM2M_TYPE_INT, R_ | W_, false, false, "Criticality Level", "0..3", NULL},
    {5827, LWM2M_TYPE_INT, R_ | W_, false, false, "Avg Load AdjPct", "0..100", "/100"},
    {5828, LWM2M_TYPE_INT, R_ | W_, false, false, "Duty Cycle", "0..100", "/100"},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3311_1_0[] = {
    {5701, LWM2M_TYPE_STRING, R_, false, false, "Sensor Units", NULL, NULL},
    {5706, LWM2M_TYPE_STRING, R_ | W_, false, false, "Colour", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5805, LWM2M_TYPE_FLOAT, R_, false, false, "Cumulative active power", NULL, "Wh"},
    {5820, LWM2M_TYPE_FLOAT, R_, false, false, "Power factor", NULL, NULL},
    {5850, LWM2M_TYPE_BOOL, R_ | W_, false, true, "On/Off", NULL, NULL},
    {5851, LWM2M_TYPE_INT, R_ | W_, false, false, "Dimmer", "0..100", "/100"},
    {5852, LWM2M_TYPE_INT, R_ | W_, false, false, "On time", NULL, "s"},
};

static const struct lwm2m_res_def res_3312_1_0[] = {
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5805, LWM2M_TYPE_FLOAT, R_, false, false, "Cumulative active power", NULL, "Wh"},
    {5820, LWM2M_TYPE_FLOAT, R_, false, false, "Power factor", NULL, NULL},
    {5850, LWM2M_TYPE_BOOL, R_ | W_, false, true, "On/Off", NULL, NULL},
    {5851, LWM2M_TYPE_INT, R_ | W_, false, false, "Dimmer", "0..100", "/100"},
    {5852, LWM2M_TYPE_INT, R_ | W_, false, false, "On time", NULL, "s"},
};

static const struct lwm2m_res_def res_3312_1_1[] = {
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5805, LWM2M_TYPE_FLOAT, R_, false, false, "Cumulative active power", NULL, "Wh"},
    {5820, LWM2M_TYPE_FLOAT, R_, false, false, "Power factor", NULL, NULL},
    {5850, LWM2M_TYPE_BOOL, R_ | W_, false, true, "On/Off", NULL, NULL},
    {5851, LWM2M_TYPE_INT, R_ | W_, false, false, "Dimmer", "0..100", "/100"},
    {5852, LWM2M_TYPE_INT, R_ | W_, false, false, "On time", NULL, "s"},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3313_1_0[] = {
    {5603, LWM2M_TYPE_FLOAT, R_, false, false, "Min Range Value", NULL, NULL},
    {5604, LWM2M_TYPE_FLOAT, R_, false, false, "Max Range Value", NULL, NULL},
    {5701, LWM2M_TYPE_STRING, R_, false, false, "Sensor Units", NULL, NULL},
    {5702, LWM2M_TYPE_FLOAT, R_, false, true, "X Value", NULL, NULL},
    {5703, LWM2M_TYPE_FLOAT, R_, false, false, "Y Value", NULL, NULL},
    {5704, LWM2M_TYPE_FLOAT, R_, false, false, "Z Value", NULL, NULL},
};

static const struct lwm2m_res_def res_3313_1_1[] = {
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5603, LWM2M_TYPE_FLOAT, R_, false, false, "Min Range Value", NULL, NULL},
    {5604, LWM2M_TYPE_FLOAT, R_, false, false, "Max Range Value", NULL, NULL},
    {5701, LWM2M_TYPE_STRING, R_, false, false, "Sensor Units", NULL, NULL},
    {5702, LWM2M_TYPE_FLOAT, R_, false, true, "X Value", NULL, NULL},
    {5703, LWM2M_TYPE_FLOAT, R_, false, false, "Y Value", NULL, NULL},
    {5704, LWM2M_TYPE_FLOAT, R_, false, false, "Z Value", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {6042, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Indicator", "0..23", NULL},
    {6049, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Level", "0..100", NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3314_1_0[] = {
    {5701, LWM2M_TYPE_STRING, R_, false, false, "Sensor Units", NULL, NULL},
    {5702, LWM2M_TYPE_FLOAT, R_, false, true, "X Value", NULL, NULL},
    {5703, LWM2M_TYPE_FLOAT, R_, false, false, "Y Value", NULL, NULL},
    {5704, LWM2M_TYPE_FLOAT, R_, false, false, "Z Value", NULL, NULL},
    {5705, LWM2M_TYPE_FLOAT, R_, false, false, "Compass Direction", "0..360", "deg"},
};

static const struct lwm2m_res_def res_3314_1_1[] = {
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5701, LWM2M_TYPE_STRING, R_, false, false, "Sensor Units", NULL, NULL},
    {5702, LWM2M_TYPE_FLOAT, R_, false, true, "X Value", NULL, NULL},
    {5703, LWM2M_TYPE_FLOAT, R_, false, false, "Y Value", NULL, NULL},
    {5704, LWM2M_TYPE_FLOAT, R_, false, false, "Z Value", NULL, NULL},
    {5705, LWM2M_TYPE_FLOAT, R_, false, false, "Compass Direction", "0..360", "deg"},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {6042, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Indicator", "0..23", NULL},
    {6049, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Level", "0..100", NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3316_1_0[] = {
    {5601, LWM2M_TYPE_FLOAT, R_, false, false, "Min Measured Value", NULL, NULL},
    {5602, LWM2M_TYPE_FLOAT, R_, false, false, "Max Measured Value", NULL, NULL},
    {5603, LWM2M_TYPE_FLOAT, R_, false, false, "Min Range Value", NULL, NULL},
    {5604, LWM2M_TYPE_FLOAT, R_, false, false, "Max Range Value", NULL, NULL},
    {5605, LWM2M_TYPE_NONE, E_, false, false, "Reset Min and Max Measured Values", NULL, NULL},
    {5700, LWM2M_TYPE_FLOAT, R_, false, true, "Sensor Value", NULL, NULL},
    {5701, LWM2M_TYPE_STRING, R_, false, false, "Sensor Units", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5821, LWM2M_TYPE_FLOAT, R_ | W_, false, false, "Current Calibration", NULL, NULL},
};

static const struct lwm2m_res_def res_3316_1_1[] = {
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5601, LWM2M_TYPE_FLOAT, R_, false, false, "Min Measured Value", NULL, NULL},
    {5602, LWM2M_TYPE_FLOAT, R_, false, false, "Max Measured Value", NULL, NULL},
    {5603, LWM2M_TYPE_FLOAT, R_, false, false, "Min Range Value", NULL, NULL},
    {5604, LWM2M_TYPE_FLOAT, R_, false, false, "Max Range Value", NULL, NULL},
    {5605, LWM2M_TYPE_NONE, E_, false, false, "Reset Min and Max Measured Values", NULL, NULL},
    {5700, LWM2M_TYPE_FLOAT, R_, false, true, "Sensor Value", NULL, NULL},
    {5701, LWM2M_TYPE_STRING, R_, false, false, "Sensor Units", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5821, LWM2M_TYPE_FLOAT, R_ | W_, false, false, "Current Calibration", NULL, NULL},
    {6042, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Indicator", "0..23", NULL},
    {6049, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Level", "0..100", NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3331_1_0[] = {
    {5700, LWM2M_TYPE_FLOAT, R_, false, true, "Sensor Value", NULL, NULL},
    {5701, LWM2M_TYPE_STRING, R_, false, false, "Sensor Units", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5822, LWM2M_TYPE_NONE, E_, false, false, "Reset Cumulative energy", NULL, NULL},
};

static const struct lwm2m_res_def res_3331_1_1[] = {
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5700, LWM2M_TYPE_FLOAT, R_, false, true, "Sensor Value", NULL, NULL},
    {5701, LWM2M_TYPE_STRING, R_, false, false, "Sensor Units", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5822, LWM2M_TYPE_NONE, E_, false, false, "Reset Cumulative energy", NULL, NULL},
    {6042, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Indicator", "0..23", NULL},
    {6049, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Level", "0..100", NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3332_1_0[] = {
    {5601, LWM2M_TYPE_FLOAT, R_, false, false, "Min Measured Value", NULL, NULL},
    {5602, LWM2M_TYPE_FLOAT, R_, false, false, "Max Measured Value", NULL, NULL},
    {5605, LWM2M_TYPE_NONE, E_, false, false, "Reset Min and Max Measured Values", NULL, NULL},
    {5705, LWM2M_TYPE_FLOAT, R_, false, true, "Compass Direction", "0..360", "deg"},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
};

static const struct lwm2m_res_def res_3332_1_1[] = {
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5601, LWM2M_TYPE_FLOAT, R_, false, false, "Min Measured Value", NULL, NULL},
    {5602, LWM2M_TYPE_FLOAT, R_, false, false, "Max Measured Value", NULL, NULL},
    {5605, LWM2M_TYPE_NONE, E_, false, false, "Reset Min and Max Measured Values", NULL, NULL},
    {5705, LWM2M_TYPE_FLOAT, R_, false, true, "Compass Direction", "0..360", "deg"},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {6042, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Indicator", "0..23", NULL},
    {6049, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Level", "0..100", NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3333_1_0[] = {
    {5506, LWM2M_TYPE_TIME, R_ | W_, false, true, "Current Time", NULL, NULL},
    {5507, LWM2M_TYPE_FLOAT, R_ | W_, false, false, "Fractional Time", "0..1", "s"},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
};

static const struct lwm2m_res_def res_3333_1_1[] = {
    {5506, LWM2M_TYPE_TIME, R_ | W_, false, true, "Current Time", NULL, NULL},
    {5507, LWM2M_TYPE_FLOAT, R_ | W_, false, false, "Fractional Time", "0..1", "s"},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {6042, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Indicator", "0..23", NULL},
    {6049, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Level", "0..100", NULL},
};

static const struct lwm2m_res_def res_3334_1_0[] = {
    {5508, LWM2M_TYPE_FLOAT, R_, false, false, "Min X Value", NULL, NULL},
    {5509, LWM2M_TYPE_FLOAT, R_, false, false, "Max X Value", NULL, NULL},
    {5510, LWM2M_TYPE_FLOAT, R_, false, false, "Min Y Value", NULL, NULL},
    {5511, LWM2M_TYPE_FLOAT, R_, false, false, "Max Y Value", NULL, NULL},
    {5512, LWM2M_TYPE_FLOAT, R_, false, false, "Min Z Value", NULL, NULL},
    {5513, LWM2M_TYPE_FLOAT, R_, false, false, "Max Z Value", NULL, NULL},
    {5603, LWM2M_TYPE_FLOAT, R_, false, false, "Min Range Value", NULL, NULL},
    {5604, LWM2M_TYPE_FLOAT, R_, false, false, "Max Range Value", NULL, NULL},
    {5605, LWM2M_TYPE_NONE, E_, false, false, "Reset Min and Max Measured Values", NULL, NULL},
    {5701, LWM2M_TYPE_STRING, R_, false, false, "Sensor Units", NULL, NULL},
    {5702, LWM2M_TYPE_FLOAT, R_, false, true, "X Value", NULL, NULL},
    {5703, LWM2M_TYPE_FLOAT, R_, false, false, "Y Value", NULL, NULL},
    {5704, LWM2M_TYPE_FLOAT, R_, false, false, "Z Value", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
};

static const struct lwm2m_res_def res_3334_1_1[] = {
    {5508, LWM2M_TYPE_FLOAT, R_, false, false, "Min X Value", NULL, NULL},
    {5509, LWM2M_TYPE_FLOAT, R_, false, false, "Max X Value", NULL, NULL},
    {5510, LWM2M_TYPE_FLOAT, R_, false, false, "Min Y Value", NULL, NULL},
    {5511, LWM2M_TYPE_FLOAT, R_, false, false, "Max Y Value", NULL, NULL},
    {5512, LWM2M_TYPE_FLOAT, R_, false, false, "Min Z Value", NULL, NULL},
    {5513, LWM2M_TYPE_FLOAT, R_, false, false, "Max Z Value", NULL, NULL},
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5603, LWM2M_TYPE_FLOAT, R_, false, false, "Min Range Value", NULL, NULL},
    {5604, LWM2M_TYPE_FLOAT, R_, false, false, "Max Range Value", NULL, NULL},
    {5605, LWM2M_TYPE_NONE, E_, false, false, "Reset Min and Max Measured Values", NULL, NULL},
    {5701, LWM2M_TYPE_STRING, R_, false, false, "Sensor Units", NULL, NULL},
    {5702, LWM2M_TYPE_FLOAT, R_, false, true, "X Value", NULL, NULL},
    {5703, LWM2M_TYPE_FLOAT, R_, false, false, "Y Value", NULL, NULL},
    {5704, LWM2M_TYPE_FLOAT, R_, false, false, "Z Value", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {6042, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Indicator", "0..23", NULL},
    {6049, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Level", "0..100", NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3335_1_0[] = {
    {5701, LWM2M_TYPE_STRING, R_, false, false, "Sensor Units", NULL, NULL},
    {5706, LWM2M_TYPE_STRING, R_ | W_, false, true, "Colour", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
};

static const struct lwm2m_res_def res_3335_1_1[] = {
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5701, LWM2M_TYPE_STRING, R_, false, false, "Sensor Units", NULL, NULL},
    {5706, LWM2M_TYPE_STRING, R_ | W_, false, true, "Colour", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {6042, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Indicator", "0..23", NULL},
    {6049, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Level", "0..100", NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3336_1_0[] = {
    {5514, LWM2M_TYPE_STRING, R_, false, true, "Latitude", NULL, NULL},
    {5515, LWM2M_TYPE_STRING, R_, false, true, "Longitude", NULL, NULL},
    {5516, LWM2M_TYPE_STRING, R_, false, false, "Uncertainty", NULL, NULL},
    {5517, LWM2M_TYPE_OPAQUE, R_, false, false, "Velocity", NULL, NULL},
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5705, LWM2M_TYPE_FLOAT, R_, false, false, "Compass Direction", "0..360", "deg"},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
};

static const struct lwm2m_res_def res_3336_1_1[] = {
    {5514, LWM2M_TYPE_STRING, R_, false, true, "Latitude", NULL, NULL},
    {5515, LWM2M_TYPE_STRING, R_, false, true, "Longitude", NULL, NULL},
    {5516, LWM2M_TYPE_STRING, R_, false, false, "Uncertainty", NULL, NULL},
    {5517, LWM2M_TYPE_OPAQUE, R_, false, false, "Velocity", NULL, NULL},
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5705, LWM2M_TYPE_FLOAT, R_, false, false, "Compass Direction", "0..360", "deg"},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {6042, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Indicator", "0..23", NULL},
    {6049, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Level", "0..100", NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3336_2_0[] = {
    {5517, LWM2M_TYPE_OPAQUE, R_, false, false, "Velocity", NULL, NULL},
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5705, LWM2M_TYPE_FLOAT, R_, false, false, "Compass Direction", "0..360", "deg"},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {6042, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Indicator", "0..23", NULL},
    {6049, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Level", "0..100", NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
    {6051, LWM2M_TYPE_FLOAT, R_, false, true, "Numeric Latitude", NULL, "lat"},
    {6052, LWM2M_TYPE_FLOAT, R_, false, true, "Numeric Longitude", NULL, "lon"},
    {6053, LWM2M_TYPE_FLOAT, R_, false, false, "Numeric Uncertainty", NULL, "m"},
};

static const struct lwm2m_res_def res_3337_1_0[] = {
    {5519, LWM2M_TYPE_FLOAT, R_, false, false, "Min Limit", NULL, NULL},
    {5520, LWM2M_TYPE_FLOAT, R_, false, false, "Max Limit", NULL, NULL},
    {5536, LWM2M_TYPE_FLOAT, R_ | W_, false, true, "Current Position", "0..100", "/100"},
    {5537, LWM2M_TYPE_FLOAT, R_ | W_, false, false, "Transition Time", NULL, "s"},
    {5538, LWM2M_TYPE_FLOAT, R_, false, false, "Remaining Time", NULL, "s"},
    {5601, LWM2M_TYPE_FLOAT, R_, false, false, "Min Measured Value", NULL, NULL},
    {5602, LWM2M_TYPE_FLOAT, R_, false, false, "Max Measured Value", NULL, NULL},
    {5605, LWM2M_TYPE_NONE, E_, false, false, "Reset Min and Max Measured Values", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
};

static const struct lwm2m_res_def res_3337_1_1[] = {
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5519, LWM2M_TYPE_FLOAT, R_, false, false, "Min Limit", NULL, NULL},
    {5520, LWM2M_TYPE_FLOAT, R_, false, false, "Max Limit", NULL, NULL},
    {5536, LWM2M_TYPE_FLOAT, R_ | W_, false, true, "Current Position", "0..100", "/100"},
    {5537, LWM2M_TYPE_FLOAT, R_ | W_, false, false, "Transition Time", NULL, "s"},
    {5538, LWM2M_TYPE_FLOAT, R_, false, false, "Remaining Time", NULL, "s"},
    {5601, LWM2M_TYPE_FLOAT, R_, false, false, "Min Measured Value", NULL, NULL},
    {5602, LWM2M_TYPE_FLOAT, R_, false, false, "Max Measured Value", NULL, NULL},
    {5605, LWM2M_TYPE_NONE, E_, false, false, "Reset Min and Max Measured Values", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3338_1_0[] = {
    {5521, LWM2M_TYPE_FLOAT, R_ | W_, false, false, "Delay Duration", NULL, "s"},
    {5525, LWM2M_TYPE_FLOAT, R_ | W_, false, true, "Minimum Off-time", NULL, "s"},
    {5548, LWM2M_TYPE_FLOAT, R_ | W_, false, false, "Level", "0..100", "/100"},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5850, LWM2M_TYPE_BOOL, R_ | W_, false, true, "On/Off", NULL, NULL},
};

static const struct lwm2m_res_def res_3338_1_1[] = {
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5521, LWM2M_TYPE_FLOAT, R_ | W_, false, false, "Delay Duration", NULL, "s"},
    {5525, LWM2M_TYPE_FLOAT, R_ | W_, false, true, "Minimum Off-time", NULL, "s"},
    {5548, LWM2M_TYPE_FLOAT, R_ | W_, false, false, "Level", "0..100", "/100"},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5850, LWM2M_TYPE_BOOL, R_ | W_, false, true, "On/Off", NULL, NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3339_1_0[] = {
    {5522, LWM2M_TYPE_OPAQUE, R_ | W_, false, true, "Clip", NULL, NULL},
    {5523, LWM2M_TYPE_NONE, E_, false, false, "Trigger", NULL, NULL},
    {5524, LWM2M_TYPE_FLOAT, R_ | W_, false, false, "Duration", NULL, "s"},
    {5548, LWM2M_TYPE_FLOAT, R_ | W_, false, false, "Level", "0..100", "/100"},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
};

static const struct lwm2m_res_def res_3340_1_0[] = {
    {5501, LWM2M_TYPE_INT, R_, false, false, "Digital Input Counter", NULL, NULL},
    {5521, LWM2M_TYPE_FLOAT, R_ | W_, false, true, "Delay Duration", NULL, "s"},
    {5523, LWM2M_TYPE_NONE, E_, false, false, "Trigger", NULL, NULL},
    {5525, LWM2M_TYPE_FLOAT, R_ | W_, false, false, "Minimum Off-time", NULL, "s"},
    {5526, LWM2M_TYPE_INT, R_ | W_, false, false, "Timer Mode", "0..4", NULL},
    {5534, LWM2M_TYPE_INT, R_ | W_, false, false, "Counter", NULL, NULL},
    {5538, LWM2M_TYPE_FLOAT, R_, false, false, "Remaining Time", NULL, "s"},
    {5543, LWM2M_TYPE_BOOL, R_, false, false, "Digital State", NULL, NULL},
    {5544, LWM2M_TYPE_FLOAT, R_ | W_, false, false, "Cumulative Time", NULL, "s"},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5850, LWM2M_TYPE_BOOL, R_ | W_, false, false, "On/Off", NULL, NULL},
};

static const struct lwm2m_res_def res_3341_1_0[] = {
    {5527, LWM2M_TYPE_STRING, R_ | W_, false, true, "Text", NULL, NULL},
    {5528, LWM2M_TYPE_INT, R_ | W_, false, false, "X Coordinate", NULL, NULL},
    {5529, LWM2M_TYPE_INT, R_ | W_, false, false, "Y Coordinate", NULL, NULL},
    {5530, LWM2M_TYPE_NONE, E_, false, false, "Clear Display", NULL, NULL},
    {5531, LWM2M_TYPE_FLOAT, R_ | W_, false, false, "Contrast", "0..100", "/100"},
    {5545, LWM2M_TYPE_INT, R_, false, false, "Max X Coordinate", NULL, NULL},
    {5546, LWM2M_TYPE_INT, R_, false, false, "Max Y Coordinate", NULL, NULL},
    {5548, LWM2M_TYPE_FLOAT, R_ | W_, false, false, "Level", "0..100", "/100"},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
};

static const struct lwm2m_res_def res_3342_1_0[] = {
    {5500, LWM2M_TYPE_BOOL, R_, false, true, "Digital Input State", NULL, NULL},
    {5501, LWM2M_TYPE_INT, R_, false, false, "Digital Input Counter", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5852, LWM2M_TYPE_INT, R_ | W_, false, false, "On time", NULL, "s"},
    {5854, LWM2M_TYPE_INT, R_ | W_, false, false, "Off Time", NULL, "s"},
};

static const struct lwm2m_res_def res_3342_1_1[] = {
    {5500, LWM2M_TYPE_BOOL, R_, false, true, "Digital Input State", NULL, NULL},
    {5501, LWM2M_TYPE_INT, R_, false, false, "Digital Input Counter", NULL, NULL},
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5852, LWM2M_TYPE_INT, R_ | W_, false, false, "On time", NULL, "s"},
    {5854, LWM2M_TYPE_INT, R_ | W_, false, false, "Off Time", NULL, "s"},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3343_1_0[] = {
    {5548, LWM2M_TYPE_FLOAT, R_ | W_, false, true, "Level", "0..100", "/100"},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5852, LWM2M_TYPE_INT, R_ | W_, false, false, "On time", NULL, "s"},
    {5854, LWM2M_TYPE_INT, R_ | W_, false, false, "Off Time", NULL, "s"},
};

static const struct lwm2m_res_def res_3344_1_0[] = {
    {5532, LWM2M_TYPE_BOOL, R_, false, true, "Increase Input State", NULL, NULL},
    {5533, LWM2M_TYPE_BOOL, R_, false, true, "Decrease Input State", NULL, NULL},
    {5541, LWM2M_TYPE_INT, R_ | W_, false, false, "Up Counter", NULL, NULL},
    {5542, LWM2M_TYPE_INT, R_ | W_, false, false, "Down Counter", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
};

static const struct lwm2m_res_def res_3345_1_0[] = {
    {5500, LWM2M_TYPE_BOOL, R_, false, false, "Digital Input State", NULL, NULL},
    {5501, LWM2M_TYPE_INT, R_, false, false, "Digital Input Counter", NULL, NULL},
    {5702, LWM2M_TYPE_FLOAT, R_, false, false, "X Value", NULL, NULL},
    {5703, LWM2M_TYPE_FLOAT, R_, false, false, "Y Value", NULL, NULL},
    {5704, LWM2M_TYPE_FLOAT, R_, false, false, "Z Value", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
};

static const struct lwm2m_res_def res_3347_1_0[] = {
    {5500, LWM2M_TYPE_BOOL, R_, false, true, "Digital Input State", NULL, NULL},
    {5501, LWM2M_TYPE_INT, R_, false, false, "Digital Input Counter", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
};

static const struct lwm2m_res_def res_3347_1_1[] = {
    {5500, LWM2M_TYPE_BOOL, R_, false, true, "Digital Input State", NULL, NULL},
    {5501, LWM2M_TYPE_INT, R_, false, false, "Digital Input Counter", NULL, NULL},
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3348_1_0[] = {
    {5547, LWM2M_TYPE_INT, R_, false, true, "Multi-state Input", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
};

static const struct lwm2m_res_def res_3348_1_1[] = {
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5547, LWM2M_TYPE_INT, R_, false, true, "Multi-state Input", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3349_1_0[] = {
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5910, LWM2M_TYPE_INT, R_, false, true, "Bitmap Input", NULL, NULL},
    {5911, LWM2M_TYPE_NONE, E_, false, false, "Bitmap Input Reset", NULL, NULL},
    {5912, LWM2M_TYPE_STRING, R_ | W_, true, false, "Element Description", NULL, NULL},
};

static const struct lwm2m_res_def res_3349_1_1[] = {
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5910, LWM2M_TYPE_INT, R_, false, true, "Bitmap Input", NULL, NULL},
    {5911, LWM2M_TYPE_NONE, E_, false, false, "Bitmap Input Reset", NULL, NULL},
    {5912, LWM2M_TYPE_STRING, R_ | W_, true, false, "Element Description", NULL, NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

static const struct lwm2m_res_def res_3350_1_0[] = {
    {5501, LWM2M_TYPE_INT, R_, false, false, "Digital Input Counter", NULL, NULL},
    {5544, LWM2M_TYPE_FLOAT, R_ | W_, false, true, "Cumulative Time", NULL, "s"},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5850, LWM2M_TYPE_BOOL, R_ | W_, false, false, "On/Off", NULL, NULL},
};

static const struct lwm2m_res_def res_3350_1_1[] = {
    {5501, LWM2M_TYPE_INT, R_, false, false, "Digital Input Counter", NULL, NULL},
    {5518, LWM2M_TYPE_TIME, R_, false, false, "Timestamp", NULL, NULL},
    {5544, LWM2M_TYPE_FLOAT, R_ | W_, false, true, "Cumulative Time", NULL, "s"},
    {5750, LWM2M_TYPE_STRING, R_ | W_, false, false, "Application Type", NULL, NULL},
    {5850, LWM2M_TYPE_BOOL, R_ | W_, false, false, "On/Off", NULL, NULL},
    {6042, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Indicator", "0..23", NULL},
    {6049, LWM2M_TYPE_INT, R_, false, false, "Measurement Quality Level", "0..100", NULL},
    {6050, LWM2M_TYPE_FLOAT, R_, false, false, "Fractional Timestamp", "0..1", "s"},
};

const struct lwm2m_obj_def lwm2m_ipso_objects[] = {
    {3200, {1, 0}, true, false, "Digital Input", res_3200_1_0, DR_ARRAY_LEN(res_3200_1_0)},
    {3200, {1, 1}, true, false, "Digital Input", res_3200_1_1, DR_ARRAY_LEN(res_3200_1_1)},
    {3201, {1, 0}, true, false, "Digital Output", res_3201_1_0, DR_ARRAY_LEN(res_3201_1_0)},
    {3201, {1, 1}, true, false, "Digital Output", res_3201_1_1, DR_ARRAY_LEN(res_3201_1_1)},
    {3202, {1, 0}, true, false, "Analog Input", res_3202_1_0, DR_ARRAY_LEN(res_3202_1_0)},
    {3202, {1, 1}, true, false, "Analog Input", res_3202_1_1, DR_ARRAY_LEN(res_3202_1_1)},
    {3203, {1, 0}, true, false, "Analog Output", res_3203_1_0, DR_ARRAY_LEN(res_3203_1_0)},
    {3203, {1, 1}, true, false, "Analog Output", res_3203_1_1, DR_ARRAY_LEN(res_3203_1_1)},
    {3300, {1, 0}, true, false, "Generic Sensor", res_3300_1_0, DR_ARRAY_LEN(res_3300_1_0)},
    {3300, {1, 1}, true, false, "Generic Sensor", res_3300_1_1, DR_ARRAY_LEN(res_3300_1_1)},
    {3301, {1, 0}, true, false, "Illuminance", res_3301_1_0, DR_ARRAY_LEN(res_3301_1_0)},
    {3301, {1, 1}, true, false, "Illuminance", res_3301_1_1, DR_ARRAY_LEN(res_3301_1_1)},
    {3302, {1, 0}, true, false, "Presence", res_3302_1_0, DR_ARRAY_LEN(res_3302_1_0)},
    {3302, {1, 1}, true, false, "Presence", res_3302_1_1, DR_ARRAY_LEN(res_3302_1_1)},
    {3303, {1, 0}, true, false, "Temperature", res_3301_1_0, DR_ARRAY_LEN(res_3301_1_0)},
    {3303, {1, 1}, true, false, "Temperature", res_3301_1_1, DR_ARRAY_LEN(res_3301_1_1)},
    {3304, {1, 0}, true, false, "Humidity", res_3301_1_0, DR_ARRAY_LEN(res_3301_1_0)},
    {3304, {1, 1}, true, false, "Humidity", res_3301_1_1, DR_ARRAY_LEN(res_3301_1_1)},
    {3305, {1, 0}, true, false, "Power Measurement", res_3305_1_0, DR_ARRAY_LEN(res_3305_1_0)},
    {3305, {1, 1}, true, false, "Power Measurement", res_3305_1_1, DR_ARRAY_LEN(res_3305_1_1)},
    {3306, {1, 0}, true, false, "Actuation", res_3306_1_0, DR_ARRAY_LEN(res_3306_1_0)},
    {3306, {1, 1}, true, false, "Actuation", res_3306_1_1, DR_ARRAY_LEN(res_3306_1_1)},
    {3308, {1, 0}, true, false, "Set Point", res_3308_1_0, DR_ARRAY_LEN(res_3308_1_0)},
    {3308, {1, 1}, true, false, "Set Point", res_3308_1_1, DR_ARRAY_LEN(res_3308_1_1)},
    {3310, {1, 0}, true, false, "Load Control", res_3310_1_0, DR_ARRAY_LEN(res_3310_1_0)},
    {3310, {1, 1}, true, false, "Load Control", res_3310_1_1, DR_ARRAY_LEN(res_3310_1_1)},
    {3311, {1, 0}, true, false, "Light Control", res_3311_1_0, DR_ARRAY_LEN(res_3311_1_0)},
    {3312, {1, 0}, true, false, "Power Control", res_3312_1_0, DR_ARRAY_LEN(res_3312_1_0)},
    {3312, {1, 1}, true, false, "Power Control", res_3312_1_1, DR_ARRAY_LEN(res_3312_1_1)},
    {3313, {1, 0}, true, false, "Accelerometer", res_3313_1_0, DR_ARRAY_LEN(res_3313_1_0)},
    {3313, {1, 1}, true, false, "Accelerometer", res_3313_1_1, DR_ARRAY_LEN(res_3313_1_1)},
    {3314, {1, 0}, true, false, "Magnetometer", res_3314_1_0, DR_ARRAY_LEN(res_3314_1_0)},
    {3314, {1, 1}, true, false, "Magnetometer", res_3314_1_1, DR_ARRAY_LEN(res_3314_1_1)},
    {3315, {1, 0}, true, false, "Barometer", res_3301_1_0, DR_ARRAY_LEN(res_3301_1_0)},
    {3315, {1, 1}, true, false, "Barometer", res_3301_1_1, DR_ARRAY_LEN(res_3301_1_1)},
    {3316, {1, 0}, true, false, "Voltage", res_3316_1_0, DR_ARRAY_LEN(res_3316_1_0)},
    {3316, {1, 1}, true, false, "Voltage", res_3316_1_1, DR_ARRAY_LEN(res_3316_1_1)},
    {3317, {1, 0}, true, false, "Current", res_3316_1_0, DR_ARRAY_LEN(res_3316_1_0)},
    {3317, {1, 1}, true, false, "Current", res_3316_1_1, DR_ARRAY_LEN(res_3316_1_1)},
    {3318, {1, 0}, true, false, "Frequency", res_3316_1_0, DR_ARRAY_LEN(res_3316_1_0)},
    {3318, {1, 1}, true, false, "Frequency", res_3316_1_1, DR_ARRAY_LEN(res_3316_1_1)},
    {3319, {1, 0}, true, false, "Depth", res_3316_1_0, DR_ARRAY_LEN(res_3316_1_0)},
    {3319, {1, 1}, true, false, "Depth", res_3316_1_1, DR_ARRAY_LEN(res_3316_1_1)},
    {3320, {1, 0}, true, false, "Percentage", res_3316_1_0, DR_ARRAY_LEN(res_3316_1_0)},
    {3320, {1, 1}, true, false, "Percentage", res_3316_1_1, DR_ARRAY_LEN(res_3316_1_1)},
    {3321, {1, 0}, true, false, "Altitude", res_3316_1_0, DR_ARRAY_LEN(res_3316_1_0)},
    {3321, {1, 1}, true, false, "Altitude", res_3316_1_1, DR_ARRAY_LEN(res_3316_1_1)},
    {3322, {1, 0}, true, false, "Load", res_3316_1_0, DR_ARRAY_LEN(res_3316_1_0)},
    {3322, {1, 1}, true, false, "Load", res_3316_1_1, DR_ARRAY_LEN(res_3316_1_1)},
    {3323, {1, 0}, true, false, "Pressure", res_3316_1_0, DR_ARRAY_LEN(res_3316_1_0)},
    {3323, {1, 1}, true, false, "Pressure", res_3316_1_1, DR_ARRAY_LEN(res_3316_1_1)},
    {3324, {1, 0}, true, false, "Loudness", res_3316_1_0, DR_ARRAY_LEN(res_3316_1_0)},
    {3324, {1, 1}, true, false, "Loudness", res_3316_1_1, DR_ARRAY_LEN(res_3316_1_1)},
    {3325, {1, 0}, true, false, "Concentration", res_3316_1_0, DR_ARRAY_LEN(res_3316_1_0)},
    {3325, {1, 1}, true, false, "Concentration", res_3316_1_1, DR_ARRAY_LEN(res_3316_1_1)},
    {3326, {1, 0}, true, false, "Acidity", res_3316_1_0, DR_ARRAY_LEN(res_3316_1_0)},
    {3326, {1, 1}, true, false, "Acidity", res_3316_1_1, DR_ARRAY_LEN(res_3316_1_1)},
    {3327, {1, 0}, true, false, "Conductivity", res_3316_1_0, DR_ARRAY_LEN(res_3316_1_0)},
    {3327, {1, 1}, true, false, "Conductivity", res_3316_1_1, DR_ARRAY_LEN(res_3316_1_1)},
    {3328, {1, 0}, true, false, "Power", res_3316_1_0, DR_ARRAY_LEN(res_3316_1_0)},
    {3328, {1, 1}, true, false, "Power", res_3316_1_1, DR_ARRAY_LEN(res_3316_1_1)},
    {3329, {1, 0}, true, false, "Power Factor", res_3316_1_0, DR_ARRAY_LEN(res_3316_1_0)},
    {3329, {1, 1}, true, false, "Power Factor", res_3316_1_1, DR_ARRAY_LEN(res_3316_1_1)},
    {3330, {1, 0}, true, false, "Distance", res_3316_1_0, DR_ARRAY_LEN(res_3316_1_0)},
    {3330, {1, 1}, true, false, "Distance", res_3316_1_1, DR_ARRAY_LEN(res_3316_1_1)},
    {3331, {1, 0}, true, false, "Energy", res_3331_1_0, DR_ARRAY_LEN(res_3331_1_0)},
    {3331, {1, 1}, true, false, "Energy", res_3331_1_1, DR_ARRAY_LEN(res_3331_1_1)},
    {3332, {1, 0}, true, false, "Direction", res_3332_1_0, DR_ARRAY_LEN(res_3332_1_0)},
    {3332, {1, 1}, true, false, "Direction", res_3332_1_1, DR_ARRAY_LEN(res_3332_1_1)},
    {3333, {1, 0}, true, false, "Time", res_3333_1_0, DR_ARRAY_LEN(res_3333_1_0)},
    {3333, {1, 1}, true, false, "Time", res_3333_1_1, DR_ARRAY_LEN(res_3333_1_1)},
    {3334, {1, 0}, true, false, "Gyrometer", res_3334_1_0, DR_ARRAY_LEN(res_3334_1_0)},
    {3334, {1, 1}, true, false, "Gyrometer", res_3334_1_1, DR_ARRAY_LEN(res_3334_1_1)},
    {3335, {1, 0}, true, false, "Colour", res_3335_1_0, DR_ARRAY_LEN(res_3335_1_0)},
    {3335, {1, 1}, true, false, "Colour", res_3335_1_1, DR_ARRAY_LEN(res_3335_1_1)},
    {3336, {1, 0}, true, false, "Location", res_3336_1_0, DR_ARRAY_LEN(res_3336_1_0)},
    {3336, {1, 1}, true, false, "Location", res_3336_1_1, DR_ARRAY_LEN(res_3336_1_1)},
    {3336, {2, 0}, true, false, "Location", res_3336_2_0, DR_ARRAY_LEN(res_3336_2_0)},
    {3337, {1, 0}, true, false, "Positioner", res_3337_1_0, DR_ARRAY_LEN(res_3337_1_0)},
    {3337, {1, 1}, true, false, "Positioner", res_3337_1_1, DR_ARRAY_LEN(res_3337_1_1)},
    {3338, {1, 0}, true, false, "Buzzer", res_3338_1_0, DR_ARRAY_LEN(res_3338_1_0)},
    {3338, {1, 1}, true, false, "Buzzer", res_3338_1_1, DR_ARRAY_LEN(res_3338_1_1)},
    {3339, {1, 0}, true, false, "Audio Clip", res_3339_1_0, DR_ARRAY_LEN(res_3339_1_0)},
    {3340, {1, 0}, true, false, "Timer", res_3340_1_0, DR_ARRAY_LEN(res_3340_1_0)},
    {3341,
     {1, 0},
     true,
     false,
     "Addressable Text Display",
     res_3341_1_0,
     DR_ARRAY_LEN(res_3341_1_0)},
    {3342, {1, 0}, true, false, "On/Off switch", res_3342_1_0, DR_ARRAY_LEN(res_3342_1_0)},
    {3342, {1, 1}, true, false, "On/Off switch", res_3342_1_1, DR_ARRAY_LEN(res_3342_1_1)},
    {3343, {1, 0}, true, false, "Dimmer", res_3343_1_0, DR_ARRAY_LEN(res_3343_1_0)},
    {3344, {1, 0}, true, false, "Up/Down Control", res_3344_1_0, DR_ARRAY_LEN(res_3344_1_0)},
    {3345, {1, 0}, true, false, "Multiple Axis Joystick", res_3345_1_0, DR_ARRAY_LEN(res_3345_1_0)},
    {3346, {1, 0}, true, false, "Rate", res_3316_1_0, DR_ARRAY_LEN(res_3316_1_0)},
    {3346, {1, 1}, true, false, "Rate", res_3316_1_1, DR_ARRAY_LEN(res_3316_1_1)},
    {3347, {1, 0}, true, false, "Push button", res_3347_1_0, DR_ARRAY_LEN(res_3347_1_0)},
    {3347, {1, 1}, true, false, "Push button", res_3347_1_1, DR_ARRAY_LEN(res_3347_1_1)},
    {3348, {1, 0}, true, false, "Multi-state Selector", res_3348_1_0, DR_ARRAY_LEN(res_3348_1_0)},
    {3348, {1, 1}, true, false, "Multi-state Selector", res_3348_1_1, DR_ARRAY_LEN(res_3348_1_1)},
    {3349, {1, 0}, true, false, "Bitmap", res_3349_1_0, DR_ARRAY_LEN(res_3349_1_0)},
    {3349, {1, 1}, true, false, "Bitmap", res_3349_1_1, DR_ARRAY_LEN(res_3349_1_1)},
    {3350, {1, 0}, true, false, "Stopwatch", res_3350_1_0, DR_ARRAY_LEN(res_3350_1_0)},
    {3350, {1, 1}, true, false, "Stopwatch", res_3350_1_1, DR_ARRAY_LEN(res_3350_1_1)},
};
const size_t lwm2m_ipso_objects_count = DR_ARRAY_LEN(lwm2m_ipso_objects);
