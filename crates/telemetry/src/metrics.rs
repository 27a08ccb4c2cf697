//! Metrics: figures that are asked for when they are exported.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::{KeyValue, global, metrics::ObservableGauge};

/// One figure and what it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// The figure, in the gauge's unit.
    pub value: f64,
    /// What it is about, such as `("tenant.id", …)`. Ids, never names (rule R26).
    pub attributes: Vec<(&'static str, String)>,
}

/// Figures that are replaced as a whole from time to time. Without an exporter nobody asks for them.
#[derive(Clone, Debug)]
pub struct Gauge {
    measurements: Arc<Mutex<Vec<Measurement>>>,
    _gauge: ObservableGauge<f64>,
}

impl Gauge {
    /// A gauge by OpenTelemetry's conventions: a name with dots, and a unit of UCUM such as `s`. To be made after [`crate::init`].
    #[must_use]
    pub fn new(name: &'static str, unit: &'static str, description: &'static str) -> Self {
        let measurements: Arc<Mutex<Vec<Measurement>>> = Arc::default();
        // The provider keeps what it asks for as long as it lives; the figures end with the gauge.
        let asked = Arc::downgrade(&measurements);
        let meter = global::meter("rollcall");
        let gauge = meter.f64_observable_gauge(name).with_unit(unit).with_description(description);
        let gauge = gauge.with_callback(move |observer| {
            let Some(measurements) = asked.upgrade() else { return };
            for Measurement { value, attributes } in &*measurements.lock().unwrap_or_else(PoisonError::into_inner) {
                let attributes: Vec<_> =
                    attributes.iter().map(|(name, value)| KeyValue::new(*name, value.clone())).collect();
                observer.observe(*value, &attributes);
            }
        });
        Self { measurements, _gauge: gauge.build() }
    }

    /// Puts these figures in the place of all that there were.
    pub fn replace(&self, measurements: Vec<Measurement>) {
        *self.measurements.lock().unwrap_or_else(PoisonError::into_inner) = measurements;
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::metrics::{
        InMemoryMetricExporter, SdkMeterProvider,
        data::{AggregatedMetrics, MetricData},
    };

    use super::*;

    #[test]
    fn what_is_exported_is_what_was_said_last() {
        let exporter = InMemoryMetricExporter::default();
        let provider = SdkMeterProvider::builder().with_periodic_exporter(exporter.clone()).build();
        global::set_meter_provider(provider.clone());
        let gauge = Gauge::new("rollcall.test", "s", "a figure");
        let figure = |value, id: &str| Measurement { value, attributes: vec![("tenant.id", id.to_owned())] };
        gauge.replace(vec![figure(1.0, "a"), figure(2.0, "b")]);
        gauge.replace(vec![figure(3.0, "b")]);
        provider.force_flush().unwrap();
        let exported = exporter.get_finished_metrics().unwrap();
        let metric = exported.iter().flat_map(|all| all.scope_metrics()).flat_map(|scope| scope.metrics());
        let metric = metric.filter(|metric| metric.name() == "rollcall.test").last().unwrap();
        let AggregatedMetrics::F64(MetricData::Gauge(points)) = metric.data() else { panic!("{metric:?}") };
        let points: Vec<_> = points.data_points().map(|point| point.value()).collect();
        assert_eq!((metric.unit(), points), ("s", vec![3.0]));
    }
}
