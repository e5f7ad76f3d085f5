//! The families of sensors that the kernel's own drivers have most often, with their help texts.
//!
//! A flat table; sensors of other names get families of the same shape. It must not know scales, which follow from
//! the names.

use vigie_core::metric::{Family, FamilyDoc};

use super::{CHIP_NAMES, SENSOR_LABEL};

/// What is documented.
pub(super) static FAMILIES: [FamilyDoc; KNOWN.len() + 2] = {
    let mut all = [CHIP_NAMES.doc(); KNOWN.len() + 2];
    all[1] = SENSOR_LABEL.doc();
    let mut i = 0;
    while i < KNOWN.len() {
        all[i + 2] = KNOWN[i].doc();
        i += 1;
    }
    all
};

/// The help text of a family of the table.
pub(super) fn help(name: &str) -> Option<&'static str> {
    let doc = FAMILIES.iter().find(|doc| doc.name == name)?;
    Some(doc.help)
}

const fn gauge(name: &'static str, help: &'static str) -> Family<2> {
    Family::gauge(name, help, ["chip", "sensor"])
}

static KNOWN: [Family<2>; 60] = [
    gauge("node_hwmon_beep_enabled", "Whether the chip beeps at all."),
    gauge("node_hwmon_curr_amps", "Current."),
    Family::counter("node_hwmon_energy_joule_total", "Energy used.", ["chip", "sensor"]),
    gauge("node_hwmon_fan_alarm", "Whether each fan is out of its limits."),
    gauge(
        "node_hwmon_fan_beep_enabled",
        "Whether the machine beeps when a fan is out of its limits.",
    ),
    gauge("node_hwmon_fan_manual", "Whether each fan is set by hand."),
    gauge("node_hwmon_fan_max_rpm", "Highest speed of each fan."),
    gauge("node_hwmon_fan_min_rpm", "Lowest speed of each fan."),
    gauge("node_hwmon_fan_output", "Speed each fan is told to have, rotations per minute."),
    gauge("node_hwmon_fan_pulses", "Pulses that each fan gives in a rotation."),
    gauge("node_hwmon_fan_rpm", "Speed of each fan."),
    gauge("node_hwmon_fan_target_rpm", "Speed each fan is to have."),
    gauge("node_hwmon_fan_tolerance", "How far each fan may be from its target."),
    gauge("node_hwmon_freq_freq_mhz", "Frequency, by the name of what has it."),
    gauge("node_hwmon_humidity", "Relative humidity; 0.1 is the whole, as node_exporter counts."),
    gauge("node_hwmon_in_alarm", "Whether each voltage is out of its limits."),
    gauge(
        "node_hwmon_in_beep_enabled",
        "Whether the machine beeps when a voltage is out of its limits.",
    ),
    gauge("node_hwmon_in_max_volts", "Highest voltage allowed."),
    gauge("node_hwmon_in_min_volts", "Lowest voltage allowed."),
    gauge("node_hwmon_in_volts", "Voltage."),
    gauge("node_hwmon_intrusion_alarm", "Whether the case was opened."),
    gauge(
        "node_hwmon_intrusion_beep_enabled",
        "Whether the machine beeps when the case is opened.",
    ),
    gauge("node_hwmon_power_accuracy", "How far measured power may be wrong, as a part of 1."),
    gauge(
        "node_hwmon_power_average_interval_max_seconds",
        "Longest time over which power can be averaged.",
    ),
    gauge(
        "node_hwmon_power_average_interval_min_seconds",
        "Shortest time over which power can be averaged.",
    ),
    gauge("node_hwmon_power_average_interval_seconds", "Time over which power is averaged."),
    gauge("node_hwmon_power_watt", "Power."),
    gauge(
        "node_hwmon_pwm_auto_point1_pwm",
        "Setting of each fan from the first temperature on, 0 to 255.",
    ),
    gauge(
        "node_hwmon_pwm_auto_point1_temp",
        "The first temperature at which the setting changes, thousandths of a degree.",
    ),
    gauge(
        "node_hwmon_pwm_auto_point2_pwm",
        "Setting of each fan from the second temperature on, 0 to 255.",
    ),
    gauge(
        "node_hwmon_pwm_auto_point2_temp",
        "The second temperature at which the setting changes, thousandths of a degree.",
    ),
    gauge(
        "node_hwmon_pwm_auto_point3_pwm",
        "Setting of each fan from the third temperature on, 0 to 255.",
    ),
    gauge(
        "node_hwmon_pwm_auto_point3_temp",
        "The third temperature at which the setting changes, thousandths of a degree.",
    ),
    gauge(
        "node_hwmon_pwm_auto_point4_pwm",
        "Setting of each fan from the fourth temperature on, 0 to 255.",
    ),
    gauge(
        "node_hwmon_pwm_auto_point4_temp",
        "The fourth temperature at which the setting changes, thousandths of a degree.",
    ),
    gauge(
        "node_hwmon_pwm_auto_point5_pwm",
        "Setting of each fan from the fifth temperature on, 0 to 255.",
    ),
    gauge(
        "node_hwmon_pwm_auto_point5_temp",
        "The fifth temperature at which the setting changes, thousandths of a degree.",
    ),
    gauge(
        "node_hwmon_pwm_crit_temp_tolerance",
        "How far the temperature may go beyond its critical point before the fan runs at full speed, as the chip counts.",
    ),
    gauge(
        "node_hwmon_pwm_enable",
        "How each fan is controlled, as the chip numbers it; 0 for at full speed.",
    ),
    gauge("node_hwmon_pwm_floor", "Lowest setting of each fan, 0 to 255."),
    gauge("node_hwmon_pwm_mode", "Whether each fan is controlled by pulses (1) or voltage (0)."),
    gauge("node_hwmon_pwm_start", "Setting that starts each fan, 0 to 255."),
    gauge(
        "node_hwmon_pwm_step_down_time",
        "Time between two steps of a fan that slows down, as the chip counts.",
    ),
    gauge(
        "node_hwmon_pwm_step_up_time",
        "Time between two steps of a fan that speeds up, as the chip counts.",
    ),
    gauge(
        "node_hwmon_pwm_stop_time",
        "Time for which a fan goes on before it stops, milliseconds.",
    ),
    gauge(
        "node_hwmon_pwm_target_temp",
        "Temperature that each fan is to keep, thousandths of a degree.",
    ),
    gauge(
        "node_hwmon_pwm_temp_sel",
        "Which temperature controls each fan, as the chip numbers them.",
    ),
    gauge(
        "node_hwmon_pwm_temp_tolerance",
        "How far the temperature may be from its target, thousandths of a degree.",
    ),
    gauge(
        "node_hwmon_pwm_weight_duty_base",
        "Setting added for a second temperature, at its base.",
    ),
    gauge("node_hwmon_pwm_weight_duty_step", "Setting added for a second temperature, by step."),
    gauge(
        "node_hwmon_pwm_weight_temp_sel",
        "Which second temperature controls each fan, as the chip numbers them.",
    ),
    gauge(
        "node_hwmon_pwm_weight_temp_step",
        "Step of the second temperature, thousandths of a degree.",
    ),
    gauge(
        "node_hwmon_pwm_weight_temp_step_base",
        "Second temperature at which its steps begin, thousandths of a degree.",
    ),
    gauge(
        "node_hwmon_pwm_weight_temp_step_tol",
        "How far the second temperature may be from a step, thousandths of a degree.",
    ),
    gauge("node_hwmon_temp_celsius", "Temperature."),
    gauge(
        "node_hwmon_temp_crit_alarm_celsius",
        "Alarm of the critical temperature, 0.001 for one.",
    ),
    gauge("node_hwmon_temp_crit_celsius", "Critical temperature."),
    gauge("node_hwmon_temp_max_celsius", "Highest temperature allowed."),
    gauge("node_hwmon_update_interval_seconds", "Time between two measurements of the chip."),
    gauge("node_hwmon_voltage_regulator_version", "Version of the voltage regulator, times ten."),
];
