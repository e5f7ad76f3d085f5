//! The attributes of power supplies as families.
//!
//! A flat table with the unit of each file (Documentation/ABI/testing/sysfs-class-power). It must not know devices.

use vigie_core::metric::Family;

use crate::attribute::{Attribute, MICRO, Unit};

const TENTH: Unit = Unit::Part(10.0);

const fn gauge(
    file: &'static str,
    name: &'static str,
    help: &'static str,
    unit: Unit,
) -> Attribute {
    Attribute::new(file, Family::gauge(name, help, ["power_supply"]), unit)
}

/// Every attribute that is a number with a family.
pub(super) static ATTRIBUTES: [Attribute; 49] = [
    gauge("authentic", "node_power_supply_authentic", "Whether the supply is genuine.", Unit::One),
    gauge(
        "calibrate",
        "node_power_supply_calibrate",
        "Whether the battery is being calibrated.",
        Unit::One,
    ),
    gauge("capacity", "node_power_supply_capacity", "Charge, percent.", Unit::One),
    gauge(
        "capacity_alert_max",
        "node_power_supply_capacity_alert_max",
        "Charge above which the supply warns, percent.",
        Unit::One,
    ),
    gauge(
        "capacity_alert_min",
        "node_power_supply_capacity_alert_min",
        "Charge below which the supply warns, percent.",
        Unit::One,
    ),
    gauge("cycle_count", "node_power_supply_cyclecount", "Full charges so far.", Unit::One),
    gauge(
        "online",
        "node_power_supply_online",
        "Whether the supply gives power, 2 when it is set by program.",
        Unit::One,
    ),
    gauge(
        "present",
        "node_power_supply_present",
        "Whether the battery is in its place.",
        Unit::One,
    ),
    gauge(
        "time_to_empty_now",
        "node_power_supply_time_to_empty_seconds",
        "Time until the battery is empty.",
        Unit::One,
    ),
    gauge(
        "time_to_full_now",
        "node_power_supply_time_to_full_seconds",
        "Time until the battery is full.",
        Unit::One,
    ),
    gauge("charge_now", "node_power_supply_charge_ampere", "Charge, ampere-hours.", MICRO),
    gauge(
        "charge_control_limit",
        "node_power_supply_charge_control_limit",
        "Limit of the charging current, as the driver counts.",
        MICRO,
    ),
    gauge(
        "charge_control_limit_max",
        "node_power_supply_charge_control_limit_max",
        "Largest limit of the charging current.",
        MICRO,
    ),
    gauge(
        "charge_counter",
        "node_power_supply_charge_counter",
        "Charge counted by the gauge, ampere-hours; may be negative.",
        MICRO,
    ),
    gauge(
        "charge_empty",
        "node_power_supply_charge_empty",
        "Charge at which the battery counts as empty, ampere-hours.",
        MICRO,
    ),
    gauge(
        "charge_empty_design",
        "node_power_supply_charge_empty_design",
        "Charge at which a new battery counts as empty, ampere-hours.",
        MICRO,
    ),
    gauge(
        "charge_full",
        "node_power_supply_charge_full",
        "Charge of the full battery, ampere-hours.",
        MICRO,
    ),
    gauge(
        "charge_full_design",
        "node_power_supply_charge_full_design",
        "Charge of a new full battery, ampere-hours.",
        MICRO,
    ),
    gauge(
        "charge_term_current",
        "node_power_supply_charge_term_current",
        "Current at which charging ends, amperes.",
        MICRO,
    ),
    gauge(
        "constant_charge_current",
        "node_power_supply_constant_charge_current",
        "Charging current, amperes.",
        MICRO,
    ),
    gauge(
        "constant_charge_current_max",
        "node_power_supply_constant_charge_current_max",
        "Largest charging current, amperes.",
        MICRO,
    ),
    gauge(
        "constant_charge_voltage",
        "node_power_supply_constant_charge_voltage",
        "Charging voltage, volts.",
        MICRO,
    ),
    gauge(
        "constant_charge_voltage_max",
        "node_power_supply_constant_charge_voltage_max",
        "Largest charging voltage, volts.",
        MICRO,
    ),
    gauge(
        "current_now",
        "node_power_supply_current_ampere",
        "Current, negative while the battery is used on some drivers.",
        MICRO,
    ),
    gauge("current_boot", "node_power_supply_current_boot", "Current at start, amperes.", MICRO),
    gauge("current_max", "node_power_supply_current_max", "Largest current, amperes.", MICRO),
    gauge(
        "energy_empty",
        "node_power_supply_energy_empty",
        "Energy at which the battery counts as empty, watt-hours.",
        MICRO,
    ),
    gauge(
        "energy_empty_design",
        "node_power_supply_energy_empty_design",
        "Energy at which a new battery counts as empty, watt-hours.",
        MICRO,
    ),
    gauge(
        "energy_full",
        "node_power_supply_energy_full",
        "Energy of the full battery, watt-hours.",
        MICRO,
    ),
    gauge(
        "energy_full_design",
        "node_power_supply_energy_full_design",
        "Energy of a new full battery, watt-hours.",
        MICRO,
    ),
    gauge("energy_now", "node_power_supply_energy_watthour", "Energy in the battery.", MICRO),
    gauge(
        "input_current_limit",
        "node_power_supply_input_current_limit",
        "Largest current a charger may draw, amperes.",
        MICRO,
    ),
    gauge("power_now", "node_power_supply_power_watt", "Power.", MICRO),
    gauge(
        "precharge_current",
        "node_power_supply_precharge_current",
        "Current while a deeply empty battery is charged, amperes.",
        MICRO,
    ),
    gauge(
        "temp_alert_max",
        "node_power_supply_temp_alert_max_celsius",
        "Temperature above which the supply warns.",
        TENTH,
    ),
    gauge(
        "temp_alert_min",
        "node_power_supply_temp_alert_min_celsius",
        "Temperature below which the supply warns.",
        TENTH,
    ),
    gauge(
        "temp_ambient",
        "node_power_supply_temp_ambient_celsius",
        "Temperature around the supply.",
        TENTH,
    ),
    gauge(
        "temp_ambient_alert_max",
        "node_power_supply_temp_ambient_max_celsius",
        "Temperature around the supply above which it warns.",
        TENTH,
    ),
    gauge(
        "temp_ambient_alert_min",
        "node_power_supply_temp_ambient_min_celsius",
        "Temperature around the supply below which it warns.",
        TENTH,
    ),
    gauge("temp", "node_power_supply_temp_celsius", "Temperature.", TENTH),
    gauge("temp_max", "node_power_supply_temp_max_celsius", "Highest temperature for use.", TENTH),
    gauge("temp_min", "node_power_supply_temp_min_celsius", "Lowest temperature for use.", TENTH),
    gauge("voltage_boot", "node_power_supply_voltage_boot", "Voltage at start, volts.", MICRO),
    gauge(
        "voltage_max",
        "node_power_supply_voltage_max",
        "Voltage of the full battery, volts.",
        MICRO,
    ),
    gauge(
        "voltage_max_design",
        "node_power_supply_voltage_max_design",
        "Voltage of a new full battery, volts.",
        MICRO,
    ),
    gauge(
        "voltage_min",
        "node_power_supply_voltage_min",
        "Voltage of the empty battery, volts.",
        MICRO,
    ),
    gauge(
        "voltage_min_design",
        "node_power_supply_voltage_min_design",
        "Voltage of a new empty battery, volts.",
        MICRO,
    ),
    gauge("voltage_ocv", "node_power_supply_voltage_ocv", "Voltage without load, volts.", MICRO),
    gauge("voltage_now", "node_power_supply_voltage_volt", "Voltage.", MICRO),
];
