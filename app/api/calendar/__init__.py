"""The calendar resource: which days trade and when; what people have put over the calendar that ships."""
