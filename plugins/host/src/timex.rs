//! `timex`: how well the kernel's clock is kept (adjtimex(2), read only).
//!
//! The offset from the reference, its uncertainty and the pulse-per-second figures. It must not know who
//! disciplines the clock.

use vigie_core::collect::{CollectError, Collector, CollectorDef, CollectorInfo, Scrape};
use vigie_core::metric::{Family, FamilyDoc, MetricSink, Value};

use crate::sys;

/// A family and how it is computed.
struct Figure {
    family: Family,
    value: fn(&Clock) -> Value<'static>,
}

/// What the kernel said.
struct Clock {
    timex: libc::timex,
    /// `TIME_OK` to `TIME_ERROR`.
    state: libc::c_int,
}

/// Frequencies are parts per million with 16 binary digits after the point.
const PPM: f64 = 65_536.0 * 1e6;
const MICROS: f64 = 1e6;

static FIGURES: [Figure; 17] = [
    gauge("node_timex_offset_seconds", "Offset of the clock from its reference.", |clock| {
        float(clock.timex.offset, clock.fraction())
    }),
    gauge("node_timex_frequency_adjustment_ratio", "Correction of the clock's speed.", |clock| {
        Value::F64(1.0 + clock.timex.freq as f64 / PPM)
    }),
    gauge("node_timex_maxerror_seconds", "Most that the clock can be wrong.", |clock| {
        float(clock.timex.maxerror, MICROS)
    }),
    gauge("node_timex_estimated_error_seconds", "Estimated error of the clock.", |clock| {
        float(clock.timex.esterror, MICROS)
    }),
    gauge("node_timex_status", "Status bits of the clock (STA_*).", |clock| {
        i64::from(clock.timex.status).into()
    }),
    gauge("node_timex_loop_time_constant", "Time constant of the phase-locked loop.", |clock| {
        float(clock.timex.constant, 1.0)
    }),
    gauge("node_timex_tick_seconds", "Time between clock ticks.", |clock| {
        float(clock.timex.tick, MICROS)
    }),
    gauge("node_timex_pps_frequency_hertz", "Frequency of the pulse per second.", |clock| {
        float(clock.timex.ppsfreq, PPM)
    }),
    gauge("node_timex_pps_jitter_seconds", "Jitter of the pulse per second.", |clock| {
        float(clock.timex.jitter, clock.fraction())
    }),
    gauge(
        "node_timex_pps_shift_seconds",
        "Calibration interval of the pulse per second.",
        |clock| i64::from(clock.timex.shift).into(),
    ),
    gauge(
        "node_timex_pps_stability_hertz",
        "Mean frequency change of the pulse per second.",
        |clock| float(clock.timex.stabil, PPM),
    ),
    counter("node_timex_pps_jitter_total", "Pulses whose jitter was too large.", |clock| {
        float(clock.timex.jitcnt, 1.0)
    }),
    counter("node_timex_pps_calibration_total", "Calibration intervals.", |clock| {
        float(clock.timex.calcnt, 1.0)
    }),
    counter("node_timex_pps_error_total", "Calibration errors.", |clock| {
        float(clock.timex.errcnt, 1.0)
    }),
    counter(
        "node_timex_pps_stability_exceeded_total",
        "Frequency changes that were too large.",
        |clock| float(clock.timex.stbcnt, 1.0),
    ),
    gauge("node_timex_tai_offset_seconds", "How far TAI is ahead of UTC.", |clock| {
        i64::from(clock.timex.tai).into()
    }),
    gauge(
        "node_timex_sync_status",
        "Whether the clock is synchronised with a reference.",
        |clock| (clock.state != libc::TIME_ERROR).into(),
    ),
];

const fn gauge(
    name: &'static str,
    help: &'static str,
    value: fn(&Clock) -> Value<'static>,
) -> Figure {
    Figure { family: Family::gauge(name, help, []), value }
}

const fn counter(
    name: &'static str,
    help: &'static str,
    value: fn(&Clock) -> Value<'static>,
) -> Figure {
    Figure { family: Family::counter(name, help, []), value }
}

fn float(number: libc::c_long, unit: f64) -> Value<'static> {
    Value::F64(number as f64 / unit)
}

impl Clock {
    /// How many units of the offset make a second.
    fn fraction(&self) -> f64 {
        if self.timex.status & libc::STA_NANO == 0 { MICROS } else { 1e9 }
    }
}

static FAMILIES: [FamilyDoc; FIGURES.len()] = {
    let mut all = [FIGURES[0].family.doc(); FIGURES.len()];
    let mut i = 1;
    while i < FIGURES.len() {
        all[i] = FIGURES[i].family.doc();
        i += 1;
    }
    all
};

/// The collector.
pub static DEF: CollectorDef = CollectorDef {
    info: CollectorInfo::new("timex", "How well the kernel's clock is kept.")
        .needs("the right to ask the clock; some containers refuse adjtimex(2)")
        .reads("adjtimex(2)")
        .families(&FAMILIES),
    build: |_| Ok(Box::new(Timex)),
};

struct Timex;

impl Collector for Timex {
    fn collect(&mut self, _: &Scrape, sink: &mut dyn MetricSink) -> Result<(), CollectError> {
        match sys::adjtimex() {
            Ok((timex, state)) => emit(&Clock { timex, state }, sink),
            // Some sandboxes of containers forbid the call even for reading.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                return Err(CollectError::no_data("adjtimex is not permitted"));
            }
            Err(error) => return Err(CollectError::Other(format!("adjtimex: {error}"))),
        }
        Ok(())
    }
}

fn emit(clock: &Clock, sink: &mut dyn MetricSink) {
    for figure in &FIGURES {
        figure.family.emit(sink, [], (figure.value)(clock));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, Lines, lines};

    fn clock() -> Clock {
        let (mut timex, _) = sys::adjtimex().unwrap();
        timex.offset = -1500;
        timex.jitter = 2_000_000;
        timex.freq = 65_536 * 25;
        timex.maxerror = 500_000;
        timex.status = 0;
        Clock { timex, state: libc::TIME_ERROR }
    }

    fn shown(clock: &Clock) -> String {
        let mut sink = Lines::default();
        emit(clock, &mut sink);
        sink.text
    }

    #[test]
    fn the_kernel_answers() {
        let text = lines(&Host::new(&[]), &DEF);
        assert_eq!(text.lines().count(), FIGURES.len());
        assert!(text.contains("node_timex_tick_seconds 0.01\n"), "{text}");
    }

    #[test]
    fn offset_and_jitter_are_in_micros_or_nanos() {
        let mut clock = clock();
        let text = shown(&clock);
        assert!(text.contains("node_timex_offset_seconds -0.0015\n"), "{text}");
        assert!(text.contains("node_timex_pps_jitter_seconds 2\n"), "{text}");
        clock.timex.status = libc::STA_NANO;
        let text = shown(&clock);
        assert!(text.contains("node_timex_offset_seconds -0.0000015\n"), "{text}");
        assert!(text.contains("node_timex_pps_jitter_seconds 0.002\n"), "{text}");
        assert!(text.contains("node_timex_maxerror_seconds 0.5\n"), "{text}");
        assert!(text.contains("node_timex_status 8192\n"), "{text}");
    }

    #[test]
    fn a_clock_without_reference_is_not_synchronised() {
        let mut clock = clock();
        let text = shown(&clock);
        assert!(text.ends_with("node_timex_sync_status 0\n"), "{text}");
        assert!(text.contains("node_timex_frequency_adjustment_ratio 1.000025\n"), "{text}");
        clock.state = libc::TIME_OK;
        assert!(shown(&clock).ends_with("node_timex_sync_status 1\n"));
    }
}
