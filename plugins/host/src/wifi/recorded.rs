//! Answers of nl80211 as JSON files, in the form of node_exporter's own fixtures.
//!
//! `interfaces.json` lists interfaces; beside it `NAME/bss.json` and `NAME/stationinfo.json` tell of each. Times are
//! nanoseconds, addresses base64. It must not know families.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use vigie_core::collect::CollectError;

use crate::netlink::nl80211::{Interface, Network, Station, Status};

/// The directory.
pub(super) struct Recorded {
    directory: PathBuf,
}

impl Recorded {
    pub(super) fn new(directory: PathBuf) -> Self {
        Recorded { directory }
    }

    pub(super) fn interfaces(&self) -> Result<Vec<Interface>, CollectError> {
        let entries: Vec<InterfaceFile> = read(&self.directory.join("interfaces.json"))?;
        let interface = |entry: InterfaceFile| Interface {
            index: entry.index,
            name: entry.name,
            frequency: entry.frequency,
        };
        Ok(entries.into_iter().map(interface).collect())
    }

    /// None without a file.
    pub(super) fn network(&self, interface: &Interface) -> Result<Option<Network>, CollectError> {
        let entry: Option<NetworkFile> = self.of(interface, "bss.json")?;
        Ok(entry.map(|entry| Network {
            ssid: entry.ssid,
            bssid: base64(&entry.bssid),
            status: match entry.status {
                0 | 1 => Status::Client,
                3 => Status::AdHoc,
                _ => Status::Unknown,
            },
        }))
    }

    /// None without a file.
    pub(super) fn stations(&self, interface: &Interface) -> Result<Vec<Station>, CollectError> {
        let entries: Option<Vec<StationFile>> = self.of(interface, "stationinfo.json")?;
        Ok(entries.unwrap_or_default().into_iter().map(Station::from).collect())
    }

    fn of<T: DeserializeOwned>(
        &self,
        interface: &Interface,
        file: &str,
    ) -> Result<Option<T>, CollectError> {
        match read(&self.directory.join(&interface.name).join(file)) {
            Err(CollectError::Read { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            read => read.map(Some),
        }
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, CollectError> {
    let text = std::fs::read(path).map_err(|error| CollectError::read(path, error))?;
    serde_json::from_slice(&text)
        .map_err(|error| CollectError::parse(path, error.line(), error.to_string()))
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct InterfaceFile {
    index: u32,
    name: String,
    /// MHz.
    frequency: u64,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct NetworkFile {
    #[serde(rename = "SSID")]
    ssid: String,
    #[serde(rename = "BSSID")]
    bssid: String,
    status: u32,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct StationFile {
    hardware_addr: String,
    connected: u64,
    inactive: u64,
    receive_bitrate: u64,
    transmit_bitrate: u64,
    received_bytes: u64,
    transmitted_bytes: u64,
    received_packets: u64,
    transmitted_packets: u64,
    signal: i64,
    transmit_retries: u64,
    transmit_failed: u64,
    beacon_loss: u64,
}

impl From<StationFile> for Station {
    fn from(file: StationFile) -> Self {
        Station {
            address: base64(&file.hardware_addr),
            connected: Duration::from_nanos(file.connected),
            inactive: Duration::from_nanos(file.inactive),
            receive_rate: file.receive_bitrate,
            send_rate: file.transmit_bitrate,
            received_bytes: file.received_bytes,
            sent_bytes: file.transmitted_bytes,
            received_packets: file.received_packets,
            sent_packets: file.transmitted_packets,
            signal: file.signal,
            retries: file.transmit_retries,
            failures: file.transmit_failed,
            beacon_losses: file.beacon_loss,
        }
    }
}

/// Decodes RFC 4648, section 4, up to the first byte that is not of it.
fn base64(text: &str) -> Vec<u8> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for six in text.bytes().map_while(six_bits) {
        (bits, count) = (bits << 6 | u32::from(six), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

fn six_bits(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{DEF, FIXTURES};
    use super::*;
    use crate::testing::{Host, lines, scrape};

    fn host(files: &[(&str, &str)]) -> Host {
        let host = Host::new(files);
        let directory = host.path("wifi");
        host.flag(FIXTURES, &[&directory])
    }

    const INTERFACES: (&str, &str) = (
        "wifi/interfaces.json",
        r#"[{"Name": "wlan0", "Frequency": 2412}, {"Name": ""}, {"Name": "wlan1", "Frequency": 5180}]"#,
    );
    const BSS: (&str, &str) =
        ("wifi/wlan0/bss.json", r#"{"SSID": "Example", "BSSID": "ABEiM0RV", "Status": 1}"#);
    const STATIONS: (&str, &str) = (
        "wifi/wlan0/stationinfo.json",
        r#"[{"HardwareAddr": "qrvM3e7/", "Connected": 30000000000, "Inactive": 400000000, "Signal": -52},
            {"HardwareAddr": "qrvM3e7/"}, {"HardwareAddr": "AQIDBAUG", "ReceivedBytes": 1099511627776}]"#,
    );

    #[test]
    fn files_tell_what_the_kernel_would() {
        let text = lines(&host(&[INTERFACES, BSS, STATIONS]), &DEF);
        let mac = "device=\"wlan0\",mac_address=\"aa:bb:cc:dd:ee:ff\"";
        for line in [
            "node_wifi_interface_frequency_hertz{device=\"wlan0\"} 2412000000\n",
            "node_wifi_interface_frequency_hertz{device=\"wlan1\"} 5180000000\n",
            "node_wifi_station_info{bssid=\"00:11:22:33:44:55\",device=\"wlan0\",mode=\"client\",ssid=\"Example\"} 1\n",
            &format!("node_wifi_station_connected_seconds_total{{{mac}}} 30\n"),
            &format!("node_wifi_station_inactive_seconds{{{mac}}} 0.4\n"),
            &format!("node_wifi_station_signal_dbm{{{mac}}} -52\n"),
            "node_wifi_station_receive_bytes_total{device=\"wlan0\",mac_address=\"01:02:03:04:05:06\"} 1099511627776\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        assert_eq!(text.matches("signal_dbm").count(), 2, "each station once: {text}");
        assert_eq!(text.matches("frequency_hertz").count(), 2, "no series without a name: {text}");
    }

    #[test]
    fn a_broken_file_costs_itself() {
        let (text, result) =
            scrape(&mut *host(&[INTERFACES, BSS, (STATIONS.0, "{\n}")]).build(&DEF).unwrap());
        let error = result.unwrap_err().to_string();
        assert!(error.contains("wlan0/stationinfo.json:1: "), "{error}");
        assert!(text.contains("ssid=\"Example\"") && text.contains("wlan1"), "{text}");
    }

    #[test]
    fn base64_is_decoded_as_far_as_it_goes() {
        assert_eq!(base64("qrvM3e7/"), [0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]);
        assert_eq!(base64("YQ=="), b"a");
        assert_eq!(base64("YWI=xx"), b"ab");
        assert_eq!(base64(""), b"");
    }
}
